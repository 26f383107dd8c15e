"""From one neuron to layers of them."""

from examples.zoo.member import Member
from examples.zoo.neurons import mlp, threshold

BATCHES = ({"batch": 1}, {"batch": 5})

MEMBERS = (
    Member("mcculloch-pitts", threshold.mcculloch_pitts, "threshold_torch:McCullochPitts", BATCHES),
    Member("perceptron", threshold.perceptron, "threshold_torch:Perceptron", BATCHES),
    *(
        Member(f"mlp ({name})", mlp.mlp, "mlp_torch:Mlp", BATCHES, options={"activation": name})
        for name in mlp.ACTIVATIONS
    ),
)
