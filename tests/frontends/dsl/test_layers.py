"""Each layer equals its PyTorch twin with the same weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from sardonyx.compiler import compile
from sardonyx.frontends import dsl
from tests.frontends.dsl.support import agree, run
from tests.frontends.dsl.twins import shaken
from tests.support.run import run_ort

IMAGES = {3: ("n", 4, "w"), 4: ("n", 4, "h", "w"), 5: ("n", 4, "d", "h", "w")}


# Mistakes of the reference evaluator of onnx 1.23, not of the models.
REFERENCE_CANNOT = {
    "conv_transpose_groups": "fails to reshape the kernel",
    "global_max_pool": "returns another rank where the image has one axis",
}


LAYERS = {
    "conv1d": (lambda x: dsl.conv(x, 6, 3, 2, 1), nn.Conv1d(4, 6, 3, 2, 1), (2, 4, 9)),
    "conv2d": (
        lambda x: dsl.conv(x, 6, (3, 2), (2, 1), [(1, 1), (0, 0)], bias=False),
        nn.Conv2d(4, 6, (3, 2), (2, 1), (1, 0), bias=False),
        (2, 4, 7, 6),
    ),
    "conv_groups": (
        lambda x: dsl.conv(x, 8, 3, padding=2, dilation=2, groups=4),
        nn.Conv2d(4, 8, 3, padding=2, dilation=2, groups=4),
        (1, 4, 7, 6),
    ),
    "conv3d": (lambda x: dsl.conv(x, 2, 2), nn.Conv3d(4, 2, 2), (1, 4, 3, 4, 5)),
    "conv_same": (
        lambda x: dsl.conv(x, 2, 3, padding="same"),
        nn.Conv2d(4, 2, 3, padding="same"),
        (2, 4, 5, 1),
    ),
    "conv_transpose": (
        lambda x: dsl.conv_transpose(x, 6, 3, 2, 1, output_padding=1),
        nn.ConvTranspose2d(4, 6, 3, 2, 1, 1),
        (2, 4, 3, 5),
    ),
    "conv_transpose_groups": (
        lambda x: dsl.conv_transpose(x, 6, 3, 2, 1, groups=2),
        nn.ConvTranspose2d(4, 6, 3, 2, 1, groups=2),
        (2, 4, 3, 5),
    ),
    "conv_transpose1d": (
        lambda x: dsl.conv_transpose(x, 3, 4, 3, bias=False),
        nn.ConvTranspose1d(4, 3, 4, 3, bias=False),
        (1, 4, 3),
    ),
    "batch_norm": (lambda x: dsl.batch_norm(x, eps=1e-3), nn.BatchNorm2d(4, 1e-3), (2, 4, 3, 1)),
    "group_norm": (lambda x: dsl.group_norm(x, 2), nn.GroupNorm(2, 4), (2, 4, 3, 5)),
    "instance_norm": (dsl.instance_norm, nn.InstanceNorm2d(4, affine=True), (2, 4, 3, 5)),
    "prelu": (dsl.prelu, nn.PReLU(4), (2, 4, 3, 5)),
    "max_pool": (
        lambda x: dsl.max_pool(x, 3, 2, 1, ceil_mode=True),
        nn.MaxPool2d(3, 2, 1, ceil_mode=True),
        (2, 4, 8, 6),
    ),
    "max_pool1d": (
        lambda x: dsl.max_pool(x, 2, dilation=2),
        nn.MaxPool1d(2, dilation=2),
        (2, 4, 8),
    ),
    "avg_pool": (lambda x: dsl.avg_pool(x, 3, 2, 1), nn.AvgPool2d(3, 2, 1), (2, 4, 8, 6)),
    "avg_pool_without_padding": (
        lambda x: dsl.avg_pool(x, 3, 2, 1, count_padding=False),
        nn.AvgPool2d(3, 2, 1, count_include_pad=False),
        (2, 4, 8, 6),
    ),
    "avg_pool3d": (lambda x: dsl.avg_pool(x, 2), nn.AvgPool3d(2), (1, 4, 4, 3, 2)),
    "adaptive_avg_pool": (
        lambda x: dsl.adaptive_avg_pool(x, (3, 4)),
        nn.AdaptiveAvgPool2d((3, 4)),
        (2, 4, 7, 10),
    ),
    "adaptive_avg_pool_enlarges": (
        lambda x: dsl.adaptive_avg_pool(x, 5),
        nn.AdaptiveAvgPool2d(5),
        (1, 4, 3, 7),
    ),
    "adaptive_max_pool1d": (
        lambda x: dsl.adaptive_max_pool(x, 3),
        nn.AdaptiveMaxPool1d(3),
        (2, 4, 8),
    ),
    "adaptive_max_pool_to_one": (
        lambda x: dsl.adaptive_max_pool(x, 1),
        nn.AdaptiveMaxPool2d(1),
        (2, 4, 3, 5),
    ),
    "global_avg_pool": (dsl.global_avg_pool, nn.AdaptiveAvgPool2d(1), (2, 4, 3, 5)),
    "global_max_pool": (dsl.global_max_pool, nn.AdaptiveMaxPool1d(1), (2, 4, 3)),
    "nearest": (lambda x: dsl.resize(x, 2), nn.Upsample(scale_factor=2), (1, 4, 3, 2)),
    "bilinear": (
        lambda x: dsl.resize(x, (2, 3), "linear"),
        nn.Upsample(scale_factor=(2, 3), mode="bilinear"),
        (1, 4, 3, 2),
    ),
    "bicubic": (
        lambda x: dsl.resize(x, 2, "cubic"),
        nn.Upsample(scale_factor=2, mode="bicubic"),
        (1, 4, 3, 4),
    ),
    "dropout": (lambda x: dsl.relu(dsl.dropout(x, 0.3)), nn.ReLU(), (2, 4, 3)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_image_layers(name):
    torch.manual_seed(3)
    layer, twin, shape = LAYERS[name]
    twin = shaken(twin)
    model = dsl.model(x=dsl.f32[IMAGES[len(shape)]])(layer)
    parameters = model.parameters()
    kind = name_of_layer(parameters)
    state = {f"{kind}.{k}": v for k, v in twin.state_dict().items() if k != "num_batches_tracked"}
    model.load(state)
    x = torch.randn(shape)
    others = () if name in REFERENCE_CANNOT else ("reference",)
    evaluators = ("onnxruntime", *others)
    agree(model, twin(x).detach(), rtol=1e-5, evaluators=evaluators, x=x.numpy())


@pytest.mark.parametrize("size", [(7, 5), (1, 2), (3, 5), (4, 3)])
def test_adaptive_pooling_of_a_fixed_image(size):
    """Where the parts are equal it is one ordinary pooling."""
    model = dsl.model(x=dsl.f32["n", 2, 7, 10])(lambda x: dsl.adaptive_max_pool(x, size))
    x = torch.randn(2, 2, 7, 10)
    is_equal = not 7 % size[0] and not 10 % size[1]
    assert len(model.to_ir().graph) == (1 if is_equal else 2 * sum(size) + 2)
    agree(model, nn.AdaptiveMaxPool2d(size)(x), rtol=0, x=x.numpy())


def test_adaptive_pooling_needs_a_size_for_each_axis():
    with pytest.raises(dsl.DslError) as error:
        dsl.model(x=dsl.f32["n", 2, 7])(lambda x: dsl.adaptive_avg_pool(x, (2, 2))).to_ir()
    assert error.value.what == "The size does not fit the image."


def name_of_layer(parameters):
    return next(iter(parameters)).split(".")[0] if parameters else ""


@pytest.mark.parametrize("axis", [-1, -2])
def test_layer_norm(axis):
    torch.manual_seed(4)
    shape = (6,) if axis == -1 else (3, 6)
    twin = shaken(nn.LayerNorm(shape, eps=1e-6))
    model = dsl.model(x=dsl.f32["n", 3, 6])(lambda x: dsl.layer_norm(x, axis, eps=1e-6))
    model.load({f"layer_norm.{k}": v for k, v in twin.state_dict().items()})
    x = torch.randn(2, 3, 6)
    agree(model, twin(x).detach(), rtol=1e-5, x=x.numpy())


def test_rms_norm():
    torch.manual_seed(5)
    twin = shaken(nn.RMSNorm(6, eps=1e-6))
    model = dsl.model(x=dsl.f32["n", 3, 6])(dsl.rms_norm)
    model.load({"rms_norm.weight": twin.weight})
    x = torch.randn(2, 3, 6)
    agree(model, twin(x).detach(), rtol=1e-5, x=x.numpy())


@pytest.mark.parametrize("dtype", ["i64", "i32", "u8"])
def test_embedding(dtype):
    twin = nn.Embedding(9, 5)
    model = dsl.model(ids=getattr(dsl, dtype)["n", "t"])(lambda ids: dsl.embedding(ids, 9, 5))
    model.load({"embedding.weight": twin.weight})
    ids = torch.tensor([[0, 8, 3]])
    wanted = twin(ids).detach()
    agree(model, wanted, rtol=0, ids=ids.numpy().astype(getattr(dsl, dtype).numpy))


@pytest.mark.parametrize("shape", [(2, 6), (6,), (2, 1, 6), (2, 3, 4, 6)])
def test_linear_at_every_rank(shape):
    torch.manual_seed(6)
    twin = nn.Linear(6, 3)
    dims = tuple(f"d{i}" for i in range(len(shape) - 1))
    model = dsl.model(x=dsl.f32[(*dims, 6)])(lambda x: dsl.linear(x, 3))
    model.load({f"linear.{k}": v for k, v in twin.state_dict().items()})
    x = torch.randn(shape)
    agree(model, twin(x).detach(), rtol=1e-5, x=x.numpy())


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("kind", ["none", "bool", "added", "rank2", "rank3"])
def test_attention_of_heads(kind, causal):
    torch.manual_seed(8)
    q, k, v = torch.randn(2, 4, 5, 6), torch.randn(2, 4, 5, 6), torch.randn(2, 4, 5, 3)
    specs = {
        "q": dsl.f32["b", 4, "s", 6],
        "k": dsl.f32["b", 4, "s", 6],
        "v": dsl.f32["b", 4, "s", 3],
    }
    masks = {
        "none": (None, None),
        "bool": (torch.rand(2, 1, 1, 5) < 0.8, dsl.bool_["b", 1, 1, "s"]),
        "added": (torch.randn(2, 1, 5, 5), dsl.f32["b", 1, "s", "s"]),
        "rank2": (torch.randn(5, 5), dsl.f32["s", "s"]),
        "rank3": (torch.randn(4, 1, 5), dsl.f32[4, 1, "s"]),
    }
    mask, spec = masks[kind]
    inputs = {"q": q.numpy(), "k": k.numpy(), "v": v.numpy()}
    if mask is None:
        model = dsl.model(**specs)(lambda q, k, v: dsl.attention(q, k, v, causal=causal))
    else:
        if kind == "bool":
            mask[..., 0] = True
        model = dsl.model(**specs, m=spec)(
            lambda q, k, v, m: dsl.attention(q, k, v, m, causal=causal, scale=0.3)
        )
        inputs["m"] = mask.numpy()
    scores = q @ k.transpose(-1, -2) * (6**-0.5 if mask is None else 0.3)
    if mask is not None:
        is_bool = mask.dtype == torch.bool
        scores = scores.masked_fill(~mask, float("-inf")) if is_bool else scores + mask
    if causal:
        scores = scores.masked_fill(torch.ones(5, 5).triu(1).bool(), float("-inf"))
    agree(model, torch.softmax(scores, -1) @ v, rtol=1e-5, **inputs)


def test_cross_attention_with_shared_heads():
    torch.manual_seed(9)

    @dsl.model(x=dsl.f32["b", "s", 8], memory=dsl.f32["b", "t", 5])
    def cross(x, memory):
        return dsl.multi_head_attention(x, 4, context=memory, kv_heads=2, bias=False)

    x, memory = torch.randn(2, 3, 8), torch.randn(2, 6, 5)
    state = {n: torch.randn(p.shape) for n, p in cross.parameters().items()}
    w = {n.split(".")[1]: v for n, v in state.items()}
    q = (x @ w["query"].T).view(2, 3, 4, 2).transpose(1, 2)
    k, v = ((memory @ w[n].T).view(2, 6, 2, 2).transpose(1, 2) for n in ("key", "value"))
    k, v = k.repeat_interleave(2, 1), v.repeat_interleave(2, 1)
    mixed = torch.softmax(q @ k.transpose(-1, -2) * 2**-0.5, -1) @ v
    wanted = mixed.transpose(1, 2).reshape(2, 3, 8) @ w["output"].T
    agree(cross.load(state), wanted, rtol=1e-5, x=x.numpy(), memory=memory.numpy())


@pytest.mark.parametrize("dtype", ["f64", "f16"])
def test_parameters_take_the_dtype_of_the_input(dtype):
    kind = getattr(dsl, dtype)

    @dsl.model(x=kind["n", 3, 8, 8])
    def small(x):
        return dsl.linear(dsl.batch_norm(dsl.conv(x, 4, 3)).flatten(), 2)

    assert {p.dtype for p in small.parameters().values()} == {np.dtype(kind.numpy)}
    assert small.to_ir().graph.outputs[0].dtype == kind.code


@pytest.mark.parametrize("size", [7, (3, 9)])
def test_an_image_is_resized_to_a_size(size):
    @dsl.model(x=dsl.f32["n", 4, "h", "w"])
    def net(x):
        return dsl.resize(x, size=size, mode="linear"), dsl.resize(
            x, size=size, mode="linear", antialias=True
        )

    shape = [str(side) for side in net.to_ir().graph.outputs[0].shape]
    assert shape == ["n", "4", *map(str, (7, 7) if size == 7 else size)]
    x = np.random.default_rng(0).standard_normal((2, 4, 13, 11)).astype(np.float32)
    (results,) = run(net, ("onnxruntime",), x=x).values()
    for got, is_smooth in zip(results, (False, True), strict=True):
        expected = nn.functional.interpolate(
            torch.from_numpy(x), size, mode="bilinear", antialias=is_smooth
        )
        np.testing.assert_allclose(got, expected.numpy(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("axes", [2, 3])
def test_an_affine_grid_is_sampled(axes, align_corners):
    sizes = (4, 6, 5)[-axes:]

    @dsl.model(x=dsl.f32[("n", 3, *("d", "h", "w")[-axes:])], matrix=dsl.f32["n", axes, axes + 1])
    def net(x, matrix):
        grid = dsl.affine_grid(matrix, (*sizes[:-1], x.shape[-1]), align_corners=align_corners)
        return dsl.grid_sample(x, grid, padding="border", align_corners=align_corners)

    names = [str(side) for side in net.to_ir().graph.outputs[0].shape]
    assert names == ["n", "3", *map(str, sizes[:-1]), "w"]
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 3, *sizes)).astype(np.float32)
    matrix = rng.standard_normal((2, axes, axes + 1)).astype(np.float32) / 2
    grid = nn.functional.affine_grid(
        torch.from_numpy(matrix), (2, 3, *sizes), align_corners=align_corners
    )
    expected = nn.functional.grid_sample(
        torch.from_numpy(x), grid, padding_mode="border", align_corners=align_corners
    )
    # Opset 23 has a GridSample that ONNX Runtime has no kernel for.
    (got,) = run_ort(compile(net, "portable", steps=()).model, {"x": x, "matrix": matrix})
    np.testing.assert_allclose(got, expected.numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        (dsl.resize, "resize needs either a scale or a size."),
        (lambda x: dsl.resize(x, 2, size=4), "resize needs either a scale or a size."),
        (lambda x: dsl.resize(x, size=(1, 2, 3)), "resize needs one factor or size for each axis"),
        (lambda x: dsl.grid_sample(x, x), "grid_sample needs an image and places in it."),
        (lambda x: dsl.affine_grid(x[0], (3, 3)), "affine_grid needs a matrix for each sample"),
    ],
)
def test_wrong_sampling_is_refused(wrong, what):
    @dsl.model(x=dsl.f32["n", 4, 3, 5])
    def net(x):
        return wrong(x)

    with pytest.raises(dsl.DslError, match=what):
        net.to_ir()
