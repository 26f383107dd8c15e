"""The vectors of words of `words.py` in PyTorch."""

import torch
from torch import nn
from torch.nn import functional


class SkipGram(nn.Module):
    def __init__(self, vocabulary=10000, features=100):
        super().__init__()
        self.input = nn.Embedding(vocabulary, features)
        self.output = nn.Embedding(vocabulary, features)

    def forward(self, word, context, noise):
        return self.loss(self.input(word), context, noise)

    def loss(self, seen, target, noise):
        words = torch.cat([target[:, None], noise], dim=1)
        scores = torch.einsum("bf,bkf->bk", seen, self.output(words))
        is_real = torch.zeros_like(scores)
        is_real[:, 0] = 1
        losses = functional.binary_cross_entropy_with_logits(scores, is_real, reduction="none")
        return losses.sum(1)


class Cbow(SkipGram):
    def forward(self, context, target, noise):
        return self.loss(self.input(context).mean(1), target, noise)


class Glove(nn.Module):
    def __init__(self, vocabulary=10000, features=100):
        super().__init__()
        self.word = nn.Embedding(vocabulary, features)
        self.context = nn.Embedding(vocabulary, features)
        self.word_bias = nn.Embedding(vocabulary, 1)
        self.context_bias = nn.Embedding(vocabulary, 1)

    def forward(self, word, context, count):
        weight = (count / 100).pow(0.75).clamp(max=1)
        products = torch.einsum("bf,bf->b", self.word(word), self.context(context))
        fit = products + self.word_bias(word)[:, 0] + self.context_bias(context)[:, 0]
        return (weight * (fit - count.log()).square()).mean()
