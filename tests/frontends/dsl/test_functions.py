"""Functions of the user's are functions of the model, one for each body."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from sardonyx import compiler, frontends, runtime
from sardonyx.compiler.ir import provenance
from sardonyx.frontends import dsl
from tests.frontends.dsl.support import agree


@dsl.function
def block(x, width=4):
    """Doubles what a layer gives."""
    return dsl.relu(dsl.linear(x, width)) * 2


@dsl.function(name="swish", domain="my.functions")
def itself_times_sigmoid(x):
    return x * dsl.sigmoid(x)


@dsl.model(x=dsl.f32["n", 4])
def net(x):
    for i in range(3):
        with dsl.scope(f"layer_{i}"):
            x = block(x)
    return itself_times_sigmoid(x) + itself_times_sigmoid(-x)


def by_numpy(x, state):
    for i in range(3):
        w, b = state[f"layer_{i}.linear.weight"], state[f"layer_{i}.linear.bias"]
        x = np.maximum(x @ w.T + b, 0) * 2
    return x / (1 + np.exp(-x)) - x / (1 + np.exp(x))


def numbers(*shape, seed=3):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def called(model):
    return [f"{n.domain}.{n.op_type}" for n in model.to_onnx().graph.node if n.domain]


def test_calls_share_one_function_and_have_their_own_parameters():
    assert called(net) == ["local.block"] * 3 + ["my.functions.swish"] * 2
    functions = {f.name: f for f in net.to_onnx().functions}
    assert set(functions) == {"block", "swish"}
    assert list(functions["block"].input) == ["x", "weight", "bias"]
    assert [n.op_type for n in functions["swish"].node] == ["Sigmoid", "Mul"]
    assert list(net.parameters())[2:4] == ["layer_1.linear.weight", "layer_1.linear.bias"]
    x = numbers(3, 4)
    agree(net, by_numpy(x, net.state()), rtol=1e-5, x=x)


@pytest.mark.parametrize("target", ["cpu", "portable"])
def test_the_compiler_writes_functions_out(target):
    program = compiler.compile(net, target=target)
    assert not {domain for domain, *_ in program.model.functions} & {"local", "my.functions"}
    x = numbers(2, 4)
    (got,) = runtime.load(program)(x)
    np.testing.assert_allclose(got, by_numpy(x, net.state()), rtol=1e-4, atol=1e-5)
    gemm = next(n for n in program.model.graph if n.op_type in ("Gemm", "MatMul"))
    (source,) = provenance.sources(gemm)[:1]
    outer, inner = source.split("/")
    assert outer.startswith("layer_0 test_functions.py:")
    assert inner.startswith("linear test_functions.py:")


def test_a_file_with_functions_is_read_again(tmp_path):
    path = tmp_path / "net.onnx"
    onnx.save(net.to_onnx(), path)
    kept = frontends.from_onnx(path, inline_functions=False)
    assert {key[1] for key in kept.functions} == {"block", "swish"}
    x = numbers(2, 4)
    (got,) = runtime.load(compiler.compile(frontends.from_onnx(path)))(x)
    np.testing.assert_allclose(got, by_numpy(x, net.state()), rtol=1e-4, atol=1e-5)


def test_another_body_is_another_function():
    @dsl.model(x=dsl.f32["n", 4])
    def several(x):
        return block(x), block(x, 6), block(x, width=4), scaled(x, 2), scaled(x, 3), scaled(x, 2)

    assert called(several) == [
        "local.block",
        "local.block",
        "local.block",
        "local.scaled",
        "local.scaled_1",
        "local.scaled",
    ]


@dsl.function
def scaled(x, by):
    return x * by


def test_one_function_for_other_shapes_and_dtypes():
    @dsl.model(x=dsl.f32["n", 4], y=dsl.f64[2, "m", 3])
    def two(x, y):
        return itself_times_sigmoid(x), itself_times_sigmoid(y)

    assert len(two.to_onnx().functions) == 1
    x, y = numbers(2, 4), numbers(2, 5, 3).astype(np.float64)
    agree(two, [v / (1 + np.exp(-v)) for v in (x, y)], rtol=1e-6, x=x, y=y)
    graph = two.to_ir().graph
    assert [str(v.dtype) for v in graph.outputs] == ["FLOAT", "DOUBLE"]


def test_what_it_reads_around_it_becomes_an_operand():
    @dsl.model(x=dsl.f32["n", 4])
    def around(x):
        total = x.sum(axis=0)
        table = np.arange(3000, dtype=np.float32)

        @dsl.function
        def shifted(y):
            return y + total + table[-4:] + y.shape[0]

        return shifted(x), shifted(x * 2)

    (made,) = around.to_onnx().functions
    assert len(made.input) == 2
    x = numbers(2, 4)
    shift = x.sum(0) + np.arange(2996, 3000, dtype=np.float32) + 2
    agree(around, [x + shift, x * 2 + shift], rtol=1e-5, x=x)


def test_functions_call_functions_inside_of_control_flow():
    @dsl.function
    def outer(x, y):
        return dsl.cond(x.sum() > 0, lambda: itself_times_sigmoid(x), lambda: x - y), y

    @dsl.model(x=dsl.f32["n"], steps=dsl.i64[()])
    def nested(x, steps):
        return dsl.loop(steps, lambda i, a, b: outer(a, b), x, x * 2)

    assert {f.name for f in nested.to_onnx().functions} == {"outer", "swish"}
    x = numbers(3)
    a, b = x, x * 2
    for _ in range(3):
        a = a / (1 + np.exp(-a)) if a.sum() > 0 else a - b
    agree(nested, [a, b], rtol=1e-5, x=x, steps=np.array(3))
    (got, _) = runtime.load(compiler.compile(nested))(x, np.array(3))
    np.testing.assert_allclose(got, a, rtol=1e-4)


def test_one_model_has_one_text():
    assert net.build().text() == net.text()
    again = onnx.parser.parse_model(ir.to_onnx_text(net.to_ir()))
    assert len(again.functions) == 2


def test_the_table_counts_what_is_in_functions():
    summary = net.summary()
    assert summary.multiply_adds == 3 * 16
    assert [(r.name, r.parameters) for r in summary.rows if r.depth == 1][:3] == [
        (f"layer_{i}", 20) for i in range(3)
    ]


def test_it_keeps_its_name_and_documentation():
    assert block.__name__ == "block"
    assert block.__doc__ == "Doubles what a layer gives."
