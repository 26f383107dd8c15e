"""From one neuron to layers of them, and the products that they are made of."""

from examples.zoo.member import Member
from examples.zoo.neurons import mlp, products, threshold

BATCHES = ({"batch": 1}, {"batch": 5})

MEMBERS = (
    Member("mcculloch-pitts", threshold.mcculloch_pitts, "threshold_torch:McCullochPitts", BATCHES),
    Member(
        "perceptron (sign)", threshold.sign_perceptron, "threshold_torch:SignPerceptron", BATCHES
    ),
    Member(
        "perceptron (step)", threshold.step_perceptron, "threshold_torch:StepPerceptron", BATCHES
    ),
    Member("single layer", mlp.single_layer, "mlp_torch:SingleLayer", BATCHES),
    Member("xor", mlp.exclusive_or, "mlp_torch:ExclusiveOr", BATCHES),
    *(
        Member(f"mlp ({name})", mlp.mlp, "mlp_torch:Mlp", BATCHES, options={"activation": name})
        for name in mlp.ACTIVATIONS
    ),
    Member("linear", products.linear, "products_torch:Linear", BATCHES),
    Member("gemm", products.gemm, "products_torch:Gemm", BATCHES),
    Member(
        "matmul", products.matmul, "products_torch:Matmul", ({"n": 2, "m": 3}, {"n": 1, "m": 4})
    ),
    Member("mm", products.mm, "products_torch:Mm", ({"n": 2, "m": 3}, {"n": 1, "m": 4})),
    Member("bmm", products.bmm, "products_torch:Bmm", ({"b": 2, "n": 2}, {"b": 5, "n": 1})),
)
