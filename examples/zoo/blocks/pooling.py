"""Pooling: a window slides over the image, or the image is cut into a given number of windows."""

from sardonyx.frontends import dsl

IMAGE = dsl.f32["batch", 6, "height", "width"]


@dsl.model(x=IMAGE)
def max_pool(x):
    """The largest element of each window, with a border that never wins."""
    return dsl.max_pool(x, 3, stride=2, padding=1)


@dsl.model(x=IMAGE)
def avg_pool(x):
    """The mean of each window, with the border's zeros and without them."""
    return dsl.avg_pool(x, 3, 2, 1), dsl.avg_pool(x, 3, 2, 1, count_padding=False)


@dsl.model(x=IMAGE)
def adaptive_avg_pool(x):
    """The mean of windows that make an image of a given size of any other."""
    return dsl.adaptive_avg_pool(x, (3, 2)), dsl.adaptive_avg_pool(x, 1)


@dsl.model(x=IMAGE)
def adaptive_max_pool(x):
    """The largest element of the same windows."""
    return dsl.adaptive_max_pool(x, (3, 2)), dsl.adaptive_max_pool(x, 1)
