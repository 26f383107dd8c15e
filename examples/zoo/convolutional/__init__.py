"""Networks of convolutions, for images, for films, and back to images."""

from typing import Any

from examples.zoo.convolutional import (
    alexnet,
    c3d,
    densenet,
    googlenet,
    lenet,
    mobilenet,
    resnet,
    style,
    unet,
    vgg,
)
from examples.zoo.member import Member, prefixes
from sardonyx.frontends import dsl

BATCHES = ({"batch": 1}, {"batch": 3})
IMAGE = dsl.f32["batch", 3, 40, 33]
FEW = {name: googlenet.WIDTHS[name] for name in ("3a", "4a")}
SMALL = {"x": dsl.f32["batch", 3, 64, 64], "width": 8, "hidden": 24, "classes": 10}


def _resnet(name: str, **options: Any) -> Member:
    small = {"x": IMAGE, "width": 16, "classes": 10, "depths": options.pop("small", (1, 2))}
    return Member(
        *(name, resnet.resnet, "resnet_torch:ResNet", BATCHES),
        options=options,
        small=small,
    )


MEMBERS = (
    Member(
        *("lenet5", lenet.lenet5, "lenet_torch:lenet5", BATCHES),
        names=prefixes(conv="0", conv_1="3", linear="7", linear_1="9", linear_2="11"),
    ),
    Member(
        *("alexnet", alexnet.alexnet, "alexnet_torch:AlexNet", BATCHES), small=SMALL, names=None
    ),
    Member(
        *("vgg16", vgg.vgg, "vgg_torch:Vgg", BATCHES),
        small={**SMALL, "depths": (1, 1, 2)},
        names=None,
    ),
    Member(
        *("vgg19", vgg.vgg, "vgg_torch:Vgg", BATCHES),
        options={"depths": (2, 2, 4, 4, 4)},
        small={**SMALL, "depths": (1, 2, 1)},
        names=None,
    ),
    Member(
        *("googlenet", googlenet.googlenet, "googlenet_torch:GoogLeNet", BATCHES),
        small={"x": IMAGE, "inceptions": FEW, "shrink": 8, "classes": 10},
    ),
    _resnet("resnet18", block=resnet.basic, depths=(2, 2, 2, 2)),
    _resnet("resnet50"),
    _resnet("resnet200", depths=(3, 24, 36, 3), small=(1, 1, 2)),
    _resnet("resnext50", cardinality=32, small=(1, 1)),
    Member(
        *("densenet121", densenet.densenet, "densenet_torch:DenseNet", BATCHES),
        small={"x": IMAGE, "depths": (2, 3), "growth": 8, "classes": 10},
    ),
    Member(
        *("mobilenet v2", mobilenet.mobilenet, "mobilenet_torch:MobileNet", BATCHES),
        small={
            "x": IMAGE,
            "stages": ((1, 8, 1, 1), (6, 12, 2, 2)),
            "first": 16,
            "last": 32,
            "classes": 10,
        },
        names=None,
    ),
    Member(
        *("u-net", unet.unet, "unet_torch:UNet"),
        ({"batch": 1, "height": 1, "width": 2}, {"batch": 2, "height": 2, "width": 1}),
        full_at={"batch": 1, "height": 8, "width": 8},
        small={"width": 4, "depth": 3},
    ),
    Member(
        *("c3d", c3d.c3d, "c3d_torch:C3d", BATCHES),
        small={
            "x": dsl.f32["batch", 3, 8, 24, 24],
            "width": 4,
            "hidden": 24,
            "classes": 10,
            "depths": (1, 2, 1),
        },
        names=None,
    ),
    Member(
        *("style transfer", style.style_transfer, "style_torch:StyleTransfer"),
        ({"batch": 1, "height": 4, "width": 5}, {"batch": 2, "height": 6, "width": 3}),
        full_at={"batch": 1, "height": 64, "width": 64},
        small={"width": 4, "depth": 2},
        names=None,
    ),
)
