"""Changes of shape. A tensor of a graph has no strides: every view of it is as good as another."""

from sardonyx.frontends import dsl

SEQUENCE = dsl.f32["batch", "length", 12]


@dsl.model(x=SEQUENCE)
def reshape(x):
    """One size is -1: what is left over."""
    return x.reshape(-1, 4), x.reshape(x.shape[0], -1)


@dsl.model(x=SEQUENCE)
def view(x):
    """What PyTorch's view refuses, a reshape of a transposed tensor, is a reshape like another."""
    return x.transpose(1, 2).reshape(x.shape[0], 3, 4 * x.shape[1])


@dsl.model(x=SEQUENCE)
def transpose(x):
    """Two axes swapped, and a matrix turned over."""
    return x.transpose(1, 2), x[0].T


@dsl.model(x=SEQUENCE)
def permute(x):
    """All axes in another order: heads before positions."""
    return x.reshape(x.shape[0], x.shape[1], 3, 4).permute(2, 0, 3, 1)


@dsl.model(x=SEQUENCE)
def contiguous(x):
    """Memory in order is nobody's concern: a slice of a transpose is flattened as it is."""
    return x.permute(2, 1, 0)[::2].flatten(0)
