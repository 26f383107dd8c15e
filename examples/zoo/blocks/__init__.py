"""Normalisation, dropout, pooling and changes of shape: what stands between the layers."""

from typing import Any

from examples.zoo.blocks import norms, pooling, shapes
from examples.zoo.member import Member
from sardonyx.frontends.dsl import Model

IMAGES = ({"batch": 2, "height": 5, "width": 7}, {"batch": 3, "height": 4, "width": 4})
LARGE = {"batch": 2, "height": 56, "width": 56}
PLAIN = ({"batch": 2, "length": 5}, {"batch": 1, "length": 8})


def _image(name: str, model: Model, twin: str, **more: Any) -> Member:
    return Member(name, model, twin, IMAGES, full_at=LARGE, **more)


MEMBERS = (
    _image("batch norm", norms.batch_norm, "norms_torch:BatchNorm"),
    _image("batch norm (training)", norms.batch_norm, "norms_torch:BatchNorm", is_training=True),
    Member("layer norm (one axis)", norms.layer_norm, "norms_torch:LayerNorm", PLAIN),
    Member(
        "layer norm (several axes)",
        norms.layer_norm_of_images,
        "norms_torch:LayerNormOfImages",
        ({"batch": 1}, {"batch": 3}),
    ),
    _image("instance norm", norms.instance_norm, "norms_torch:InstanceNorm"),
    _image("group norm", norms.group_norm, "norms_torch:GroupNorm"),
    Member("dropout", norms.dropout, "norms_torch:Dropout", PLAIN),
    Member("dropout (training)", norms.dropout, "norms_torch:Dropout", PLAIN, is_training=True),
    _image("max pooling", pooling.max_pool, "pooling_torch:MaxPool"),
    _image("average pooling", pooling.avg_pool, "pooling_torch:AvgPool"),
    _image("adaptive average pooling", pooling.adaptive_avg_pool, "pooling_torch:AdaptiveAvgPool"),
    _image("adaptive max pooling", pooling.adaptive_max_pool, "pooling_torch:AdaptiveMaxPool"),
    Member("reshape", shapes.reshape, "shapes_torch:Reshape", PLAIN),
    Member("view", shapes.view, "shapes_torch:View", PLAIN),
    Member("transpose", shapes.transpose, "shapes_torch:Transpose", PLAIN),
    Member("permute", shapes.permute, "shapes_torch:Permute", PLAIN),
    Member("contiguous", shapes.contiguous, "shapes_torch:Contiguous", PLAIN),
)
