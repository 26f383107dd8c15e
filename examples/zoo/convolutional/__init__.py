"""Networks of convolutions."""

from examples.zoo.convolutional import lenet
from examples.zoo.member import Member, prefixes

BATCHES = ({"batch": 1}, {"batch": 3})

MEMBERS = (
    Member(
        "lenet5",
        lenet.lenet5,
        "lenet_torch:lenet5",
        BATCHES,
        names=prefixes(conv="0", conv_1="3", linear="7", linear_1="9", linear_2="11"),
    ),
)
