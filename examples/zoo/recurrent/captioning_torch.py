"""The captioner of `captioning.py` in PyTorch."""

import torch
from torch import nn


class Captioner(nn.Module):
    def __init__(self, vocabulary=8000, units=512, widths=(32, 64, 128, 256)):
        super().__init__()
        sides = zip((3, *widths), widths, strict=False)
        convs = [nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in sides]
        for number, conv in enumerate(convs):
            self.add_module(f"conv_{number}" if number else "conv", conv)
        self.convs = list(self.children())
        self.image_word = nn.Linear(widths[-1], units)
        self.lstm = nn.LSTM(units, units)
        self.scores = nn.Linear(units, vocabulary)
        self.embedding = nn.Embedding(vocabulary, units)

    def forward(self, image, words):
        x = image
        for conv in self.convs:
            x = conv(x).relu()
        heard, state, caption, scores = self.image_word(x.mean((2, 3))), None, [], []
        for _ in range(int(words)):
            outputs, state = self.lstm(heard[None], state)
            scores.append(self.scores(outputs[0]))
            caption.append(scores[-1].argmax(-1))
            heard = self.embedding(caption[-1])
        return torch.stack(caption), torch.stack(scores)
