"""LeNet-5 in the language: `python examples/dsl_lenet.py`, or `sardonyx inspect` on this file.

A model is a function; layers make their parameters where they are called.
"""

import numpy as np

from sardonyx import compiler, runtime
from sardonyx.frontends import dsl


@dsl.model(x=dsl.f32["batch", 1, 28, 28])
def lenet(x):
    x = dsl.max_pool(dsl.relu(dsl.conv(x, 6, 5, padding=2)), 2)
    x = dsl.max_pool(dsl.relu(dsl.conv(x, 16, 5)), 2)
    x = dsl.relu(dsl.linear(dsl.flatten(x), 120))
    return dsl.linear(dsl.relu(dsl.linear(x, 84)), 10)


if __name__ == "__main__":
    print(lenet.text())
    session = runtime.load(compiler.compile(lenet))
    images = np.random.default_rng(0).standard_normal((3, 1, 28, 28)).astype(np.float32)
    (digits,) = session(images)
    print("digits:", digits.argmax(1))
