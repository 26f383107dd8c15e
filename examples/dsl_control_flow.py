"""Control flow inside the graph: a recurrent network by scan, greedy decoding by loop."""

import numpy as np

from sardonyx import compiler, runtime
from sardonyx.frontends import dsl


@dsl.model(x=dsl.f32["time", "batch", 8])
def recurrent(x):
    """The last state and all states of a vanilla recurrent network with 16 units."""
    weight = dsl.parameter("recurrent", (16, 16), dsl.init.glorot_uniform())

    def step(state, frame):
        state = dsl.tanh(dsl.linear(frame, 16, name="input") + state @ weight)
        return state, state

    start = dsl.zeros((x.shape[1], 16))
    last, states = dsl.scan(step, start, x)
    return {"last": last, "states": states}


@dsl.model(start=dsl.i64["batch"], steps=dsl.i64[()])
def decoder(start, steps):
    """Token after token, each the likeliest one after the last; the sequence grows in a loop."""
    table = dsl.parameter("table", (12, 12), dsl.init.normal(1.0))

    def step(i, tokens):
        scores = dsl.embedding(tokens[:, -1], 12, 12, weight=table)
        return dsl.concat([tokens, dsl.argmax(scores)[:, None]], axis=1)

    return dsl.loop(steps, step, start[:, None])


if __name__ == "__main__":
    frames = np.random.default_rng(0).standard_normal((5, 2, 8)).astype(np.float32)
    last, states = runtime.load(compiler.compile(recurrent))(frames)
    print("states:", states.shape, "the last one is the last:", np.array_equal(states[-1], last))
    (tokens,) = runtime.load(compiler.compile(decoder))(np.array([1, 7]), np.array(6))
    print("tokens:", tokens.tolist())
