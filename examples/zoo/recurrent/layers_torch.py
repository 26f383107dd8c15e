"""The recurrent layers of `layers.py` in PyTorch, which has one form of each."""

from torch import nn


class Rnn(nn.RNN):
    def __init__(self, units=64, form="operator"):
        super().__init__(32, units)


class BidirectionalRnn(nn.RNN):
    def __init__(self, units=64, form="operator"):
        super().__init__(32, units, bidirectional=True)


class Gru(nn.GRU):
    def __init__(self, units=64, form="operator"):
        super().__init__(32, units)


class Lstm(nn.LSTM):
    def __init__(self, units=64, form="operator", **more):
        super().__init__(32, units, **more)

    def forward(self, x):
        outputs, state = super().forward(x)
        return outputs, *state


class BiLstm(Lstm):
    def __init__(self, units=64, form="operator"):
        super().__init__(units, bidirectional=True)
