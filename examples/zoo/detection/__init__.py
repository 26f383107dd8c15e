"""Networks that say where things are."""

from examples.zoo.detection import faster_rcnn, ssd, yolo
from examples.zoo.member import Member
from sardonyx.frontends import dsl

BLOCKS = ((4, 1), (6, 1), (8, 1), (8, 1), (8, 1))
IMAGES = ({"batch": 1, "rows": 2, "columns": 3}, {"batch": 2, "rows": 3, "columns": 2})


def _yolo_name(name: str) -> str:
    layer, _, last = name.rpartition(".")
    kind, _, number = layer.rpartition("_") if layer[-1].isdigit() else (layer, "", "0")
    return f"layers.{4 * int(number) + (kind == 'batch_norm')}.{last}"


MEMBERS = (
    Member(
        "faster r-cnn",
        faster_rcnn.faster_rcnn,
        "faster_rcnn_torch:FasterRcnn",
        ({"rows": 3, "columns": 4}, {"rows": 5, "columns": 3}),
        full_at={"rows": 14, "columns": 18},
        small={"classes": 4, "blocks": BLOCKS, "hidden": 16, "proposals": 12, "shrink": 4},
        is_decision=True,
    ),
    Member(
        "yolo",
        yolo.yolo,
        "yolo_torch:Yolo",
        IMAGES,
        full_at={"batch": 1, "rows": 13, "columns": 13},
        small={"classes": 3, "widths": (4, 4, 6, 6, 8, 8), "most": 4},
        names=_yolo_name,
        is_decision=True,
    ),
    Member(
        "ssd",
        ssd.ssd,
        "ssd_torch:Ssd",
        ({"batch": 1}, {"batch": 2}),
        small={
            "image": dsl.f32["batch", 3, 96, 96],
            "classes": 4,
            "blocks": BLOCKS,
            "extras": ((4, 6, 2, 1), (4, 6, 2, 1)),
            "hidden": 8,
            "most": 4,
        },
        is_decision=True,
    ),
)
