"""The tagger of `tagging.py` in PyTorch."""

from torch import nn


class Tagger(nn.Module):
    def __init__(self, vocabulary=10000, units=128, tags=17):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, units)
        self.lstm = nn.LSTM(units, units, batch_first=True, bidirectional=True)
        self.linear = nn.Linear(2 * units, tags)

    def forward(self, tokens):
        return self.linear(self.lstm(self.embedding(tokens))[0])
