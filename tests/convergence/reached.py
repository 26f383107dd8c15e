"""For each rule a model that reaches it: an export, a file of ONNX's model zoo, or a node case."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import onnx_ir as ir
import onnxruntime
import torch
from torch import Tensor, nn

from sardonyx import frontends
from sardonyx.compiler.targets import Target, find_target
from tests.conformance.cases import DATA, Case, cases
from tests.convergence import architectures as nets
from tests.convergence.models import SUBJECTS, Subject
from tests.convergence.sources import SOURCES
from tests.convergence.test_activations import SUBJECT as ACTIVATIONS
from tests.frontends.huggingface import models as huggingface
from tests.frontends.huggingface.more_models import MORE

BATCH = {"batch": 2}
EXPORTERS = {source.name: source for source in SOURCES}
SUBJECT_OF = {subject.name: subject for subject in SUBJECTS}


@dataclass(frozen=True)
class Reach:
    """A model, what it is compiled for, and the rules that must be applied to it.

    Attributes:
        model: Makes it.
        rules: Names of rules, separated by spaces.
        target: What it is compiled for.
        opset: Opset of the file.
        error: Largest difference allowed, over the largest value; None where ONNX Runtime does
            not run the model as it is exported.
    """

    model: Callable[[], ir.Model]
    rules: str
    target: str | Target = "cpu"
    opset: int | None = None
    error: float | None = 1e-5


_CUDA = find_target("cuda")
_WITH_FUSED_CONV = replace(_CUDA, selections=(*_CUDA.selections, "fused_conv"))
"""It does not pay on the devices that were measured."""


def _export(
    exporter: str,
    network: Callable[[], nn.Module] | str,
    example: Callable[[int], dict[str, Tensor]] | None = None,
    *,
    attention: str = "",
    dynamic: bool = True,
) -> Callable[[], ir.Model]:
    """Export a network of `architectures`, or one of the table by its name."""
    if isinstance(network, str):
        subject = SUBJECT_OF[network]
    else:
        assert example is not None
        names = {name: {0: "batch"} for name in example(1)}
        subject = Subject("", lambda _: network(), example, names, BATCH, {"batch": 1}, ("",))
    return lambda: EXPORTERS[exporter].model(subject, attention, dynamic)


def _hf(name: str) -> Callable[[], ir.Model]:
    row = next(row for row in (*huggingface.REQUIRED, *MORE) if row.name == name)
    kind = row.kind
    return lambda: frontends.from_torch(
        row.build(), kwargs=kind.inputs(**kind.traced), dynamic=kind.dynamic
    )


def _optimised(made: Callable[[], ir.Model]) -> Callable[[], ir.Model]:
    """Make a file that ONNX Runtime has optimised and saved."""

    def make() -> ir.Model:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "optimised.onnx"
            options.optimized_model_filepath = str(path)
            data = ir.to_proto(made()).SerializeToString()
            onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
            return frontends.from_onnx(path.read_bytes())

    return make


def _zoo(name: str) -> Callable[[], ir.Model]:
    return lambda: frontends.from_onnx(DATA / "light" / f"light_{name}.onnx")


@functools.cache
def _cases(group: str) -> dict[str, Case]:
    return {case.name: case for case in cases(group)}


def _case(group: str, name: str) -> Callable[[], ir.Model]:
    return lambda: frontends.from_onnx(_cases(group)[f"test_{name}"].model())


def _images(batch: int) -> dict[str, Tensor]:
    return {"x": 128 * torch.rand(batch, 3, 8, 8)}


def _styled(batch: int) -> dict[str, Tensor]:
    return {**_images(batch), "style": torch.randn(batch, 4)}


def _rows(batch: int) -> dict[str, Tensor]:
    return {"x": torch.randn(batch, 6, 16)}


def _padded(batch: int) -> dict[str, Tensor]:
    return {**_rows(batch), "padding": torch.tensor([[False] * 4 + [True] * 2] * batch)}


def _frames(batch: int) -> dict[str, Tensor]:
    return {"x": torch.randn(batch, 1500, 16)}


def _short(batch: int) -> dict[str, Tensor]:
    return {"x": torch.randn(batch, 5, 8)}


def _sounds(batch: int) -> dict[str, Tensor]:
    return {"x": torch.randn(batch, 8, 9)}


def _step(batch: int) -> dict[str, Tensor]:
    past = {name: torch.randn(batch, 2, 5, 8) for name in ("keys", "values")}
    return {"x": torch.randn(batch, 1, 16), **past}


def _features(batch: int) -> dict[str, Tensor]:
    return {"x": torch.randn(batch, 6)}


LEGACY, OURS = "legacy-17", "sardonyx"

REACHED: dict[str, Reach] = {
    "activations": Reach(
        _export(LEGACY, lambda: ACTIVATIONS.build(""), ACTIVATIONS.example),
        "gelu gelu_tanh hard_sigmoid hard_swish leaky_relu mish mish_by_exp prelu_to_leaky_relu "
        "quick_gelu sigmoid silu softplus softplus_by_log",
    ),
    "ArcFace": Reach(
        _export(LEGACY, nets.ArcFace, _images),
        "flat_batch_norm_linear gemm_batch_norm prelu_by_relu subtract_constant",
    ),
    "Yolo": Reach(_export(OURS, nets.Yolo, _images), "concat_of_concat mish_by_exp scale_conv"),
    "Segmenter": Reach(
        _export(LEGACY, nets.Segmenter, _images), "flat_softmax scale_conv scale_scale shift_shift"
    ),
    "ConvMixer": Reach(
        _export(LEGACY, nets.ConvMixer, _images),
        "affine_batch_norm batch_norm_affine gelu_by_erf_or_tanh shift_conv",
        "portable",
        18,
    ),
    "InceptionResNet": Reach(
        _export(OURS, nets.InceptionResNet, _images),
        "conv_add_relu conv_batch_norm conv_relu conv_scale pad_average_pool pad_conv pad_max_pool",
        _WITH_FUSED_CONV,
    ),
    "Residual": Reach(_export(LEGACY, nets.Residual, _images), "clip_clip power"),
    "Generator": Reach(
        _export(LEGACY, nets.Generator, _styled),
        "conv_shift conv_transpose_batch_norm gemm_shift",
    ),
    "Diffusion": Reach(
        _export(LEGACY, nets.Diffusion, _images), "group_norm group_norm_nhwc norm_affine", "cuda"
    ),
    "StyleTransfer": Reach(_export(LEGACY, nets.StyleTransfer, _images), "layer_norm norm_affine"),
    "LateInteraction": Reach(_export(OURS, nets.LateInteraction, _rows), "crossing_matmul", "cuda"),
    "Tabular": Reach(_export(LEGACY, nets.Tabular, _features), "affine_batch_norm batch_norm_gemm"),
    "Digits": Reach(
        _export(LEGACY, nets.Digits, _images),
        "batch_norm_matmul divide_by_power_of_two flatten_to_same matmul_batch_norm scale_linear "
        "shift_gemm",
    ),
    "ValidConvolutions": Reach(
        _export(LEGACY, nets.ValidConvolutions, _images), "batch_norm_conv clip_to_relu"
    ),
    "Subsampling": Reach(_export(OURS, nets.Subsampling, _images), "pooled_batch_norm"),
    "SequenceFirst": Reach(
        _export(LEGACY, nets.SequenceFirst, _rows),
        "linear_between_transposes linear_of_reshaped part_of_projection scaled_dot_product "
        "transpose_identity transpose_without_ones",
    ),
    "SequenceFirst, long": Reach(
        _export(LEGACY, nets.SequenceFirst, _frames, dynamic=False),
        "multi_head_attention separate_linears",
    ),
    "Speech": Reach(
        _export(LEGACY, nets.Speech, _sounds),
        "depthwise_conv1d group_norm group_norm_by_instance_norm norm_affine softplus_by_log",
    ),
    "Speech, by our exporter": Reach(
        _export(OURS, nets.Speech, _sounds), "cast_like multiply_by_one softplus_threshold"
    ),
    "Einsums": Reach(
        _export(LEGACY, nets.Einsums, _short), "einsum_pairs einsum_product einsum_sum"
    ),
    "Half": Reach(_export(LEGACY, nets.Half, _rows), "norm_affine norm_cast rms_norm", error=2e-3),
    "Decoder": Reach(
        _export("dynamo-23-plain", nets.Decoder, _padded, dynamic=False),
        "attention_is_causal attention_mask_filled attention_without_mask identity "
        "reshape_allowzero shift_matmul transpose_of_transpose",
        error=None,
    ),
    "Redundant": Reach(
        _export(OURS, nets.Redundant, _images),
        "cast_of_cast concat_of_split max_to_clip neg_of_neg not_of_not pad_nothing "
        "piece_of_split slice_of_slice slice_whole tile_once where_false where_same where_true",
    ),
    "BERT": Reach(
        _export("dynamo-18", "bert", attention="sdpa"),
        "and_true and_true_expanded counted_no_less expand_before_broadcast expand_later "
        "gather_elements_of_one_value gather_nd_of_window gather_of_one_row gather_of_slice "
        "linear_of_shifted_norm packed_attention parallel_linear residual_bias "
        "residual_of_shifted_norm reshapes_of_ones squeeze_of_unsqueeze",
    ),
    "GPT-2": Reach(
        _export(LEGACY, "gpt2", attention="eager"),
        "concat_of_one norm_of_sum reshape_of_reshape reshape_to_same skip_norm skip_norm_sum",
        "cuda",
    ),
    "Llama": Reach(
        _export(LEGACY, "llama", attention="eager"),
        "attention_by_products grouped_queries reshape_back rms_norm_by_mean_square "
        "rotary_by_position rotary_by_rotation rotary_embedding",
        "portable",
        18,
    ),
    "T5": Reach(
        _export(LEGACY, "t5", attention="eager"), "add_zero cast_to_same gather_of_flat_matrix"
    ),
    "T5, static": Reach(
        _export(LEGACY, "t5", attention="eager", dynamic=False),
        "attention_mask_kept_once gather_of_all",
    ),
    "Swin": Reach(
        _export(LEGACY, "swin", attention="eager", dynamic=False),
        "attention_of_joined_heads bias_gelu",
    ),
    "ConvNeXt": Reach(_export(LEGACY, "convnext", dynamic=False), "linear_scale"),
    "GPT-NeoX": Reach(_hf("GPTNeoXForCausalLM"), "gather_of_whole_axis partial_rotary_embedding"),
    "ProphetNet": Reach(_hf("ProphetNetModel"), "piece_of_equal_ones"),
    "HandWritten": Reach(
        _export(OURS, nets.HandWritten, _step),
        "kv_cache mean_of_sum reduction_axes reduction_keeps_axes rotary_pairs scale_of_norm "
        "scale_of_reduction",
    ),
    "BERT, by ONNX Runtime": Reach(
        _optimised(_export(LEGACY, "bert", attention="eager")), "standard_gelu"
    ),
    "Llama, by ONNX Runtime": Reach(
        _optimised(_export(LEGACY, "llama", attention="eager", dynamic=False)),
        "simplified_layer_norm standard_quick_gelu",
    ),
    "AlexNet of 2017": Reach(_zoo("bvlc_alexnet"), "dropout"),
    "ResNet of 2017": Reach(_zoo("resnet50"), "sum_of_two"),
    "Max of one": Reach(_case("node", "max_one_input"), "variadic_of_one"),
    "Clip without bounds": Reach(_case("node", "clip_default_inbounds"), "clip_nothing"),
    "AffineGrid's body": Reach(_case("node", "affine_grid_2d_expanded"), "transpose_perm"),
    "a sequence": Reach(_case("simple", "sequence_model4"), "concat_of_sequence"),
}
