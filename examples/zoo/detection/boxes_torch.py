"""What all twins of detectors share. The loops are of Python: PyTorch alone has no suppression."""

import torch
from torch import nn
from torch.nn import functional


class Numbered(nn.Module):
    """A module whose convolutions have the names that the language gives them."""

    count = 0

    def numbered(self, *sizes, **more):
        made = nn.Conv2d(*sizes, **more)
        # As strong at the end as at the start, or scores differ by less than they are rounded.
        nn.init.kaiming_normal_(made.weight, nonlinearity="relu")
        self.add_module(f"conv_{self.count}" if self.count else "conv", made)
        self.count += 1
        return made


def chained(layers, x):
    for layer in layers:
        x = layer(x)
    return x


def overlaps(box, boxes):
    """Intersection over union of one box with others."""
    start = torch.maximum(box[:2], boxes[:, :2])
    end = torch.minimum(box[2:], boxes[:, 2:])
    shared = (end - start).clamp(min=0).prod(-1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(-1)
    union = (box[2:] - box[:2]).prod() + areas - shared
    return shared / union.clamp(min=1e-30)  # boxes without an area overlap nothing


def keep(boxes, scores, most, overlap, least):
    """Take the best box that is left, drop what it overlaps, and again."""
    left, kept = scores > least, []
    while len(kept) < most and left.any():
        best = int(torch.where(left, scores, -torch.inf).argmax())
        kept.append(best)
        left &= overlaps(boxes[best], boxes) <= overlap
        left[best] = False
    return kept


def detections(boxes, scores, most, overlap, least=0.0):
    found = [
        (image, kind, box)
        for image, of_image in enumerate(scores)
        for kind, of_kind in enumerate(of_image)
        for box in keep(boxes[image], of_kind, most, overlap, least)
    ]
    image, kind, box = torch.tensor(found).reshape(-1, 3).unbind(1)
    return image, kind, boxes[image, box], scores[image, kind, box]


def decode(deltas, prior):
    """`prior` is a centre and a size: [..., 4]."""
    x, y, w, h = prior.unbind(-1)
    dx, dy, dw, dh = deltas.unbind(-1)
    x, y, w, h = x + dx * w, y + dy * h, w * dw.exp(), h * dh.exp()
    return torch.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], -1)


def clip(boxes, height, width):
    x, y = boxes[..., 0::2].clamp(0, width), boxes[..., 1::2].clamp(0, height)
    return torch.stack([x, y], -1).flatten(-2)


def roi_align(image, boxes, size, scale, samples=2):
    """Regions, [boxes, channels, size, size], of an image [1, channels, height, width]."""
    height, width = image.shape[2:]
    steps = (torch.arange(size * samples) + 0.5) / (size * samples)
    left, top, right, bottom = (side[:, None] * scale for side in boxes.unbind(1))
    x, y = left + (right - left) * steps, top + (bottom - top) * steps
    shape = (len(boxes), size * samples, size * samples)
    columns = (2 * x / width - 1)[:, None].expand(shape)
    rows = (2 * y / height - 1)[:, :, None].expand(shape)
    sampled = functional.grid_sample(
        image.expand(len(boxes), -1, -1, -1),
        torch.stack([columns, rows], -1),
        padding_mode="border",
        align_corners=False,
    )
    return functional.avg_pool2d(sampled, samples)
