"""What a recurrent layer does at each step, and three ways to go along time."""

from sardonyx.frontends import dsl


def rnn_step(seen, held, h):
    return (dsl.tanh(seen + held),)


def lstm_step(seen, held, h, c):
    i, f, g, o = dsl.split(seen + held, 4)
    c = dsl.sigmoid(f) * c + dsl.sigmoid(i) * dsl.tanh(g)
    return dsl.sigmoid(o) * dsl.tanh(c), c


def gru_step(seen, held, h):
    (r, z, n), (held_r, held_z, held_n) = dsl.split(seen, 3), dsl.split(held, 3)
    z = dsl.sigmoid(z + held_z)
    return ((1 - z) * dsl.tanh(n + dsl.sigmoid(r + held_r) * held_n) + z * h,)


STEPS = {"rnn": (rnn_step, 1, 1), "lstm": (lstm_step, 4, 2), "gru": (gru_step, 3, 1)}
"""The step of each kind of layer, the number of its gates and of the tensors of its state."""


def by_operator(kind, x, units, bidirectional=False):
    outputs, last = getattr(dsl, kind)(x, units, bidirectional=bidirectional)
    return (outputs, *last) if kind == "lstm" else (outputs, last)


def by_scan(kind, x, units, bidirectional=False):
    return both_ways(dsl.scan, kind, x, units, bidirectional)


def unrolled(kind, x, units, bidirectional=False):
    return both_ways(python_loop, kind, x, units, bidirectional)


def python_loop(step, state, x, reverse):
    outputs = []
    for frame in reversed(list(x)) if reverse else x:
        *state, output = step(*state, frame)
        outputs.append(output)
    return *state, dsl.stack(outputs[::-1] if reverse else outputs)


def both_ways(along, kind, x, units, bidirectional):
    ways = [one_way(along, kind, x, units, "")]
    if bidirectional:
        ways.append(one_way(along, kind, x, units, "_reverse"))
    *states, outputs = zip(*ways, strict=True)
    return dsl.concat(outputs), *(dsl.stack(ends) for ends in states)


def one_way(along, kind, x, units, end):
    step, gates, states = STEPS[kind]
    seen_weight = dsl.parameter(f"weight_ih_l0{end}", (gates * units, x.shape[-1]))
    held_weight = dsl.parameter(f"weight_hh_l0{end}", (gates * units, units))
    seen_bias = dsl.parameter(f"bias_ih_l0{end}", (gates * units,))
    held_bias = dsl.parameter(f"bias_hh_l0{end}", (gates * units,))

    def once(*given):
        *state, frame = given
        seen = frame @ seen_weight.T + seen_bias
        state = step(seen, state[0] @ held_weight.T + held_bias, *state)
        return *state, state[0]

    start = [dsl.zeros((x.shape[1], units))] * states
    return along(once, start, x, reverse=end == "_reverse")
