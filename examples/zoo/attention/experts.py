"""Mixture of experts: Shazeer et al., "Outrageously large neural networks" (2017); in this form,
softmax over the chosen, Jiang et al., "Mixtral of experts" (2024)."""

from sardonyx.frontends import dsl


@dsl.model(x=dsl.f32["batch", "length", 32])
def mixture_of_experts(x, experts=8, chosen=2, hidden=64):
    """A router gives each token to two of eight networks, and weighs their answers."""
    scores, which = dsl.topk(dsl.linear(x, experts, bias=False, name="router"), chosen)
    weights = dsl.softmax(scores)
    parts = []
    for i in range(experts):
        with dsl.scope(f"experts.{i}"):
            gate = dsl.silu(dsl.linear(x, hidden, bias=False, name="gate"))
            up = dsl.linear(x, hidden, bias=False, name="up")
            answer = dsl.linear(gate * up, x.shape[-1], bias=False, name="down")
        share = dsl.where(which == i, weights, 0.0).sum(-1, keepdims=True)
        parts.append(share * answer)
    return sum(parts[1:], parts[0])
