"""Matrix products: what every layer is made of, in each of PyTorch's forms."""

from sardonyx.frontends import dsl


@dsl.model(x=dsl.f32["batch", 6])
def linear(x):
    """x @ weight.T + bias, the weight as PyTorch keeps it: [out, in]."""
    return dsl.linear(x, 4)


@dsl.model(x=dsl.f32["batch", 6])
def gemm(x):
    """The operator behind it, with all that it can do: alpha * A @ B.T + beta * C."""
    weight, bias = dsl.parameter("weight", (4, 6)), dsl.parameter("bias", (4,))
    return dsl.op.Gemm(x, weight, bias, alpha=0.5, beta=2.0, transB=1)


@dsl.model(x=dsl.f32[2, 1, "n", 6], y=dsl.f32[3, 6, "m"])
def matmul(x, y):
    """matmul: leading axes broadcast, vectors are rows and columns."""
    return {"stacks": x @ y, "vectors": x[0, 0, 0] @ y[0, :, 0], "mixed": x @ y[0, :, 0]}


@dsl.model(x=dsl.f32["n", 6], y=dsl.f32[6, "m"])
def mm(x, y):
    """mm: two matrices."""
    return x @ y


@dsl.model(x=dsl.f32["b", "n", 6], y=dsl.f32["b", 6, 5])
def bmm(x, y):
    """bmm: two equally long stacks of matrices."""
    return x @ y
