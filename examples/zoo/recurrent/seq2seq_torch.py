"""The encoder and decoder of `seq2seq.py` in PyTorch."""

import torch
from torch import nn

START, END = 0, 1


class Encoder(nn.Module):
    def __init__(self, vocabulary=8000, units=256):
        super().__init__()
        self.source_words = nn.Embedding(vocabulary, units)
        self.encoder = nn.GRU(units, units, batch_first=True)

    def forward(self, source):
        return self.encoder(self.source_words(source))[1]


class Decoder(nn.Module):
    def __init__(self, vocabulary=8000, units=256):
        super().__init__()
        self.target_words = nn.Embedding(vocabulary, units)
        self.decoder = nn.GRU(units, units)
        self.scores = nn.Linear(units, vocabulary)

    def forward(self, tokens, state):
        outputs, state = self.decoder(self.target_words(tokens)[None], state)
        return self.scores(outputs[0]).log_softmax(-1), state


class Translator(nn.Module):
    def __init__(self, vocabulary=8000, units=256):
        super().__init__()
        self.reader = Encoder(vocabulary, units)
        self.writer = Decoder(vocabulary, units)

    def forward(self, source, limit):
        """Sentence by sentence; those that end early are filled up with END."""
        state = self.reader(source)
        found = [self.greedy(state[:, i : i + 1], int(limit)) for i in range(len(source))]
        longest = max(len(tokens) for tokens, _ in found)
        rows = [tokens + [END] * (longest - len(tokens)) for tokens, _ in found]
        return torch.tensor(rows), torch.stack([total for _, total in found])

    def greedy(self, state, limit):
        tokens, total = [START], torch.zeros(())
        while len(tokens) <= limit and tokens[-1] != END:
            scores, state = self.writer(torch.tensor(tokens[-1:]), state)
            total = total + scores.max()
            tokens.append(int(scores.argmax()))
        return tokens, total
