"""Normalisation and dropout.

Ioffe and Szegedy, "Batch normalization" (2015); Ba, Kiros and Hinton, "Layer normalization"
(2016); Ulyanov, Vedaldi and Lempitsky, "Instance normalization" (2016); Wu and He, "Group
normalization" (2018); Srivastava et al., "Dropout" (2014).
"""

from sardonyx.frontends import dsl

IMAGE = dsl.f32["batch", 6, "height", "width"]


@dsl.model(x=IMAGE)
def batch_norm(x):
    """Channels normalised: by running statistics, in training by the batch's, which move them."""
    return dsl.batch_norm(x, name="norm")


@dsl.model(x=dsl.f32["batch", "length", 12])
def layer_norm(x):
    """Each position normalised over its features."""
    return dsl.layer_norm(x, name="norm")


@dsl.model(x=dsl.f32["batch", 6, 5, 4])
def layer_norm_of_images(x):
    """Each sample normalised over several axes, with a scale for each element."""
    return dsl.layer_norm(x, axis=1, name="norm")


@dsl.model(x=IMAGE)
def instance_norm(x):
    """Each channel of each sample normalised over its image."""
    return dsl.instance_norm(x, name="norm")


@dsl.model(x=IMAGE)
def group_norm(x):
    """Groups of channels of each sample normalised over their images."""
    return dsl.group_norm(x, 3, name="norm")


@dsl.model(x=dsl.f32["batch", "length", 12])
def dropout(x, rate=0.3):
    """Nothing in inference; in training what is kept is divided by 1 - rate, what is not is 0."""
    y = dsl.dropout(x, rate)
    return dsl.where(y == 0, x / (1 - rate), y) if dsl.is_training() else y
