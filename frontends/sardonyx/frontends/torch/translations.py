"""Our own lowerings of ATen operators, where the exporter's are wrong or missing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from sardonyx.frontends.torch.attention import scaled_dot_product_attention

aten = torch.ops.aten

TRANSLATIONS: dict[Callable[..., Any], Callable[..., Any]] = {
    # The exporter's takes 4 dims only, no equal head counts with enable_gqa, and no narrow masks.
    aten.scaled_dot_product_attention.default: scaled_dot_product_attention,
}
