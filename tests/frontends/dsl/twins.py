"""PyTorch modules that the layers are compared with."""

from __future__ import annotations

import torch


def shaken(module):
    """The module with weights and statistics that are not what they start as."""
    with torch.no_grad():
        for tensor in [*module.parameters(), *module.buffers()]:
            if tensor.is_floating_point():
                tensor.copy_(torch.rand_like(tensor) + 0.1)
    return module.eval()
