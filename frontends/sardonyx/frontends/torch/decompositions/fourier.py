"""Fourier transforms of windows."""

from __future__ import annotations

import torch
from torch import Tensor

from sardonyx.frontends.torch.decompositions.left import LEFT


def short_time_transform(  # noqa: PLR0917 (the operator's schema)
    x: Tensor,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Tensor | None = None,
    normalized: bool = False,
    onesided: bool | None = None,
    return_complex: bool | None = None,
    align_to_window: bool | None = None,
) -> Tensor:
    """Stft: the transforms of windows of the last axis, (..., frequency, window)."""
    if x.is_complex() or align_to_window:
        return LEFT
    width = win_length or n_fft
    before = (n_fft - width) // 2
    if window is None:
        window = torch.ones(width, dtype=x.dtype, device=x.device)
    window = torch.nn.functional.pad(window, (before, n_fft - width - before))
    frames = (x.unfold(-1, n_fft, hop_length or n_fft // 4) * window).transpose(-1, -2)
    norm = "ortho" if normalized else "backward"
    whole = onesided is not None and not onesided
    transform = torch.fft.fft if whole else torch.fft.rfft
    made: Tensor = transform(frames, dim=-2, norm=norm)
    return made if return_complex else torch.view_as_real(made)


TABLE = {"stft.default": short_time_transform}
