"""What happens to images before a network sees them."""

import numpy as np

from examples.zoo.member import Member, some
from examples.zoo.pipeline import images

SHAPES = ({"batch": 1, "height": 30, "width": 41}, {"batch": 3, "height": 24, "width": 17})
FULL = {"batch": 8, "height": 480, "width": 640}


def photographs(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Bytes that change as slowly from pixel to pixel as photographs do."""
    batch, height, width, channels = shape
    waves = rng.uniform(1, 4, (4, batch, 1, 1, channels))
    y, x = np.linspace(0, 1, height)[:, None, None], np.linspace(0, 1, width)[:, None]
    light = np.sin(waves[0] * y * 6 + waves[1]) + np.sin(waves[2] * x * 6 + waves[3])
    return 127.5 + 60 * light


def places(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """An angle, a factor and two distances for each image."""
    return rng.uniform([-0.3, 0.8, -0.1, -0.1], [0.3, 1.25, 0.1, 0.1], shape)


def colours(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Brightness, contrast and saturation for each image."""
    return rng.uniform(0.6, 1.4, shape)


MEMBERS = (
    Member(
        "preprocessing",
        images.preprocess,
        "images_torch:Preprocess",
        SHAPES,
        full_at=FULL,
        small={"resized": 20, "size": 16},
        inputs={"images": photographs},
    ),
    Member(
        "augmentation",
        images.augment,
        "images_torch:Augment",
        SHAPES,
        full_at=FULL,
        small={"size": 16},
        inputs={
            "images": photographs,
            "place": places,
            "is_flipped": some(0.5),
            "colours": colours,
        },
    ),
)
