"""Every architecture, captured once, gives PyTorch's numbers at sizes it was not captured with."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest
import torch

from sardonyx.frontends.torch import from_torch
from tests.frontends.huggingface.deploy import DEPLOYMENTS
from tests.frontends.huggingface.models import REQUIRED
from tests.frontends.huggingface.more_models import MORE
from tests.frontends.huggingface.row import Row

RELATIVE_ERROR = 1e-4

SLOW = {
    *("AlbertModel", "DistilBertModel", "ModernBertModel", "RobertaModel"),  # as BERT
    *("MistralForCausalLM", "Phi3ForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM"),
    *("LlamaForCausalLM", "Gemma2ForCausalLM", "GPTNeoXForCausalLM", "OPTForCausalLM"),
    *("DeiTModel", "Dinov2Model", "ViTModel", "CLIPModel", "SwinModel"),
    *("ConvNextModel", "EfficientNetModel", "RegNetModel", "BartModel"),
}
"""Architectures made of parts that others have, here or in tests/convergence, too."""


def named(result: object, name: str = "") -> dict[str, np.ndarray]:
    """The tensors of a Hugging Face output by the names that the exported model should have."""
    if result is None:
        return {}
    if isinstance(result, torch.Tensor):
        return {name: result.numpy()}
    if hasattr(result, "self_attention_cache"):
        parts = {
            "self_attention_cache": result.self_attention_cache,
            "cross_attention_cache": result.cross_attention_cache,
        }
    elif hasattr(result, "layers"):
        parts = {str(index): layer for index, layer in enumerate(result.layers)}
    elif hasattr(result, "conv_states"):
        parts = {"conv_states": result.conv_states, "recurrent_states": result.recurrent_states}
    elif hasattr(result, "keys") and hasattr(result, "is_initialized"):
        parts = {"key": result.keys, "value": result.values}
    elif hasattr(result, "items"):
        parts = dict(result.items())
    else:
        parts = {str(index): part for index, part in enumerate(result)}
    prefix = f"{name}." if name else ""
    return {k: v for key, part in parts.items() for k, v in named(part, f"{prefix}{key}").items()}


def relative_error(found: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference over the largest expected magnitude."""
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    if expected.size == 0:
        return 0.0
    difference = np.abs(found.astype(np.float64) - expected.astype(np.float64)).max()
    return float(difference / max(np.abs(expected).max(), 1e-30))


def dims_of(model: ir.Model) -> dict[str, dict[int, str]]:
    dims = {}
    for value in model.graph.inputs:
        rows = enumerate(value.shape)
        dims[value.name] = {i: d.value for i, d in rows if isinstance(d, ir.SymbolicDim)}
    return dims


def case(row: Row) -> object:
    is_slow = row in MORE or row.name in SLOW
    marks = [pytest.mark.slow] if is_slow else []
    broken = [pytest.mark.xfail(reason=row.broken)] if row.broken else []
    return pytest.param(row, id=row.name, marks=[*marks, *broken])


@pytest.mark.parametrize("row", [case(row) for row in (*REQUIRED, *MORE)])
def test_matches_pytorch_at_other_sizes(row: Row) -> None:
    torch.set_num_threads(1)
    module = row.build()
    kind = row.kind
    model = from_torch(module, kwargs=kind.inputs(**kind.traced), dynamic=kind.dynamic)
    assert dims_of(model) == {
        name: kind.dynamic.get(name, {}) for name in kind.inputs(**kind.traced)
    }
    runs = {how: deploy(model) for how, deploy in DEPLOYMENTS.items()}
    errors = {}
    for sizes in (kind.traced, *kind.others):
        feeds = kind.inputs(**sizes)
        with torch.no_grad():
            expected = named(module(**feeds))
        for level, run in runs.items():
            found = run({name: tensor.numpy() for name, tensor in feeds.items()})
            assert list(found) == list(expected)
            for name in found:
                error = relative_error(found[name], expected[name])
                errors[f"{name} at {sizes}, {level}"] = error
    wrong = {place: error for place, error in errors.items() if not error <= RELATIVE_ERROR}
    assert not wrong
