"""Each mistake is reported at the user's line, with what was found and what to do."""

from __future__ import annotations

import operator
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

from sardonyx.frontends import dsl

SOURCE = Path(__file__).read_text(encoding="utf-8").splitlines()
f32, i64, bool_ = dsl.f32, dsl.i64, dsl.bool_
KEPT: list = []


def line_of(mark: str) -> int:
    (found,) = [n for n, line in enumerate(SOURCE, 1) if line.rstrip().endswith(f"# {mark}")]
    return found


def program(what: str, *more: str, **inputs):
    """A wrong program: the types of its inputs, and what its error must say.

    The offending line ends with a comment that is the program's name.
    """

    def register(function):
        PROGRAMS[function.__name__] = (function, inputs, (what, *more))
        return function

    return register


PROGRAMS: dict = {}


@program(
    "The inner sizes of a matrix product differ.",
    "x f32[batch, 8] @ y f32[4, 2]: 8 and 4",
    "transpose an operand",
    x=f32["batch", 8],
    y=f32[4, 2],
)
def matmul(x, y):
    z = x + 1
    return z + (x @ y)  # matmul


@program(
    "The outer sizes of a matrix product do not broadcast.",
    "axis -1 has 3 and 2",
    x=f32[3, 4, 8],
    y=f32[2, 8, 5],
)
def matmul_outer(x, y):
    return x @ y  # matmul_outer


@program("A scalar has no matrix product.", "use *", x=f32[()], y=f32[4])
def matmul_scalar(x, y):
    return x @ y  # matmul_scalar


@program(
    "Add cannot broadcast these shapes.",
    "x f32[batch, 3] and y f32[batch, 4]: axis -1 has 3 and 4",
    "insert an axis",
    x=f32["batch", 3],
    y=f32["batch", 4],
)
def broadcast(x, y):
    return x + y  # broadcast


@program(
    "Mul cannot broadcast these shapes.",
    "axis -1 has n and m",
    "need one name",
    x=f32["n"],
    y=f32["m"],
)
def two_names(x, y):
    return x * y  # two_names


@program("Sub cannot broadcast these shapes.", "n - 1 and n", x=f32["n"])
def off_by_one(x):
    return x[:-1] - x  # off_by_one


@program(
    "Add needs operands of one dtype.",
    "x f32[n] and y i64[n]",
    "x.cast(dsl.f32)",
    x=f32["n"],
    y=i64["n"],
)
def mixed_dtypes(x, y):
    return x + y  # mixed_dtypes


@program("Add needs operands of one dtype.", "constant f64[3]", x=f32["n", 3])
def double_array(x):
    return x + np.ones(3)  # double_array


@program("The number does not fit the dtype i64.", "0.5 for x i64[n]", "cast", x=i64["n"])
def fraction(x):
    return x * 0.5  # fraction


@program("The number is outside of the dtype u8.", "300", "0 to 255", x=dsl.u8["n"])
def large_number(x):
    return x + 300  # large_number


@program("/ does not divide tensors of dtype i64.", "use //", x=i64["n"])
def integer_division(x):
    return x / 2  # integer_division


@program("An integer has no negative power.", "x.cast(dsl.f32)", x=i64["n"])
def negative_power(x):
    return x**-1  # negative_power


@program("conv needs an image.", "x f32[batch, 28, 28, 1, 1, 1]", x=f32["batch", 28, 28, 1, 1, 1])
def conv_rank(x):
    return dsl.conv(x, 8, 3)  # conv_rank


@program("conv needs a fixed size on axis 1", "'c'", x=f32["batch", "c", 28, 28])
def conv_channels(x):
    return dsl.conv(x, 8, 3)  # conv_channels


@program(
    "The weight that is passed in has another shape.",
    "w f32[8, 5, 3, 3]",
    "[8, 3, 3, 3]",
    x=f32["batch", 3, 28, 28],
)
def conv_weight(x):
    w = dsl.parameter("w", (8, 5, 3, 3))
    return dsl.conv(x, 8, 3, weight=w)  # conv_weight


@program("conv cannot cut these channels into 2 groups.", "3 channels", x=f32["n", 3, 8, 8])
def conv_groups(x):
    return dsl.conv(x, 8, 3, groups=2)  # conv_groups


@program("The window of conv is larger than the image.", "a window of 9", x=f32["n", 3, 4, 4])
def conv_window(x):
    x = dsl.conv(x, 4, 3)
    return dsl.conv(x, 8, 5, dilation=2)  # conv_window


@program("The padding does not fit the image.", "(1, 2, 3)", x=f32["n", 3, 4, 4])
def conv_padding(x):
    return dsl.max_pool(x, 2, padding=(1, 2, 3))  # conv_padding


@program("The kernel does not fit the image.", "an int of 1 or more", x=f32["n", 3, 4, 4])
def conv_kernel(x):
    return dsl.conv(x, 2, 0)  # conv_kernel


@program("linear needs a fixed size on axis -1", "'features'", x=f32["n", "features"])
def linear_size(x):
    return dsl.linear(x, 4)  # linear_size


@program("linear needs a positive number of features.", "2.0", x=f32["n", 4])
def linear_features(x):
    return dsl.linear(x, x.shape[1] / 2)  # linear_features


@program("embedding looks up integers.", "x f32[n]", "dsl.i64", x=f32["n"])
def embedding_floats(x):
    return dsl.embedding(x, 10, 4)  # embedding_floats


@program("group_norm needs groups of equal size.", "6 channels in 4 groups", x=f32["n", 6, 3])
def group_norm(x):
    return dsl.group_norm(x, 4)  # group_norm


@program("multi_head_attention cannot divide this into heads.", "10 features", x=f32["n", "t", 10])
def heads(x):
    return dsl.multi_head_attention(x, 3)  # heads


@program("attention needs heads on axis 1.", "x f32[n, t, 8]", x=f32["n", "t", 8])
def attention_rank(x):
    return dsl.attention(x, x, x)  # attention_rank


@program("The mask does not fit the attention.", "m f32[n, t]", x=f32["n", "t", 8], m=f32["n", "t"])
def attention_mask(x, m):
    return dsl.multi_head_attention(x, 2, mask=m)  # attention_mask


@program(
    "A reshape cannot change the number of elements.",
    "x f32[3, 4] has 12 elements, [5, -1] has groups of 5",
    x=f32[3, 4],
)
def reshape(x):
    return x.reshape(5, -1)  # reshape


@program("A reshape cannot change the number of elements.", "2*n", x=f32["n", 2])
def reshape_symbolic(x):
    return x.reshape(x.shape[0], 3)  # reshape_symbolic


@program("Only one size of a reshape may be -1.", "(-1, -1)", x=f32["n", 2])
def reshape_twice(x):
    return x.reshape(-1, -1)  # reshape_twice


@program("No input has a size named 'time'.", "n", x=f32["n", 2])
def size_name(x):
    return x.reshape("time", -1)  # size_name


@program("There is no axis 2.", "from -2 to 1", x=f32["n", 2])
def axis(x):
    return x.sum(axis=2)  # axis


@program("An axis is named twice.", "[0, 0]", x=f32["n", 2])
def axis_twice(x):
    return x.mean((0, -2))  # axis_twice


@program("permute needs every axis once.", "3 axes", x=f32["n", 2, 3])
def permute(x):
    return x.permute(1, 0)  # permute


@program("These tensors cannot be joined along axis 1.", "x f32[n, 2], y f32[m, 2]",
         x=f32["n", 2], y=f32["m", 2])  # fmt: skip
def concat(x, y):
    return dsl.concat([x, y], axis=1)  # concat


@program("Axis 1 of size 7 does not split like this.", "a divisor of 7", x=f32["n", 7])
def split(x):
    return dsl.split(x, 2)[0]  # split


@program("squeeze removes axes of size 1; axis 1 has 2.", x=f32["n", 2])
def squeeze(x):
    return x.squeeze(1)  # squeeze


@program("The index 3 is outside of axis 0.", "-3 to 2", x=f32[3, 2])
def index(x):
    return x[3]  # index


@program("There are more indices than axes.", "3 indices", "at most 2", x=f32[3, 2])
def too_many_indices(x):
    return x[0, 0, 0]  # too_many_indices


@program("A tensor cannot be indexed with this.", "bool_[n]", "dsl.where", x=f32["n"])
def bool_index(x):
    return x[x > 0]  # bool_index


@program("A backward slice needs a fixed start.", "i i64[]", x=f32["n"], i=i64[()])
def backward_slice(x, i):
    return x[i::-1]  # backward_slice


@program("There is no dtype 'float31'.", "f32", x=f32["n"])
def unknown_dtype(x):
    return x.cast("float31")  # unknown_dtype


@program("Python cannot decide this", "bool_[]", "dsl.cond", x=f32["n"])
def python_if(x):
    if x.sum() > 0:  # python_if
        return x
    return -x


@program("Python cannot compare this", "'n'", x=f32["n"])
def python_if_size(x):
    return x if x.shape[0] > 3 else -x  # python_if_size


@program("Python needs a number here.", "the size 'n'", x=f32["n"])
def python_range(x):
    return sum(x[i] for i in range(x.shape[0]))  # python_range


@program("Python needs a number here", "f32[]", x=f32["n"])
def python_float(x):
    return x * float(x.sum())  # python_float


@program("A loop of Python needs a fixed size.", "x f32[n, 3]", "dsl.scan", x=f32["n", 3])
def iterate(x):
    return [row * 2 for row in x]  # iterate


@program("len() needs a fixed size.", "x f32[n, 3]", x=f32["n", 3])
def length(x):
    return x * len(x)  # length


@program("A tensor does not change.", "dsl.where", x=f32["n", 3])
def assignment(x):
    x[0] = 1.0  # assignment
    return x


@program("returns something that is no tensor of the model.", "output: float 3.0", x=f32["n"])
def return_number(x):
    return float(3)  # return_number


@program("returns something that is no tensor of the model.", "NoneType", x=f32["n"])
def return_nothing(x):  # return_nothing
    x + 1


@program(
    "There are two parameters named 'fc.weight'.", "the first one", "another name", x=f32[2, 2]
)
def name_clash(x):
    x = dsl.linear(x, 2, name="fc")
    return dsl.linear(x, 2, name="fc")  # name_clash


@program("A scope needs a plain name.", "'my scope'", x=f32["n"])
def scope_name(x):
    with dsl.scope("my scope"):  # scope_name
        return x + 1


@program("This tensor belongs to another model.", "outside f32[n]", x=f32["n"])
def other_model(x):
    dsl.model(outside=f32["n"])(KEPT.append_and_return).text()
    return x + KEPT[0]  # other_model


@program("belongs to a body of cond, loop or scan that is finished", x=f32["n"])
def left_its_body(x):
    seen = []
    y = dsl.loop(3, lambda i, s: seen.append(s) or s * 2, x)
    return y + seen[0]  # left_its_body


@program("The condition of cond is no bool scalar.", "bool_[n]", x=f32["n"])
def cond_condition(x):
    return dsl.cond(x > 0, lambda: x, lambda: -x)  # cond_condition


@program("The branches of cond return different things.", "f32[n] against", "i64[n]", x=f32["n"])
def cond_branches(x):
    return dsl.cond(x.sum() > 0, lambda: x, lambda: x.cast("i64"))  # cond_branches


@program("The state of loop changes its dtype or rank.", "x f32[n] becomes", "f32[]", x=f32["n"])
def loop_state(x):
    return dsl.loop(3, lambda i, s: s.sum(), x)  # loop_state


@program("The step of loop returns too few tensors.", "2 tensors", x=f32["n"])
def loop_count(x):
    return dsl.loop(3, lambda i, a, b: a, x, x)  # loop_count


@program("This loop never ends.", x=f32["n"])
def endless(x):
    return dsl.loop(None, lambda i, a: a, x)  # endless


@program("The state of scan changes its shape.", "f32[2] becomes", x=f32["n", 2])
def scan_state(x):
    return dsl.scan(lambda s, e: dsl.concat([s, e]), dsl.zeros((2,)), x)  # scan_state


@program("The tensors differ along axis 0.", "x f32[n] and y f32[m]", x=f32["n"], y=f32["m"])
def scan_lengths(x, y):
    return dsl.scan(lambda a, b: a * b, (), (x, y))  # scan_lengths


@program("There is no operator 'Rellu'", "did you mean 'Relu'?", x=f32["n"])
def operator_name(x):
    return dsl.op.Rellu(x)  # operator_name


@program("Softmax has no operand or attribute 'axs'.", "did you mean 'axis'?", x=f32["n"])
def attribute_name(x):
    return dsl.op.Softmax(x, axs=0)  # attribute_name


@program("The attribute 'axis' of Softmax is of another kind.", "'last'", "an int", x=f32["n"])
def attribute_kind(x):
    return dsl.op.Softmax(x, axis="last")  # attribute_kind


@program("Concat needs the attribute 'axis'.", x=f32["n"])
def attribute_missing(x):
    return dsl.op.Concat(x, x)  # attribute_missing


@program("Gemm misses its operand 'B'.", "A, B", x=f32["n", 2])
def operand_missing(x):
    return dsl.op.Gemm(x)  # operand_missing


@program("Relu takes at most 1 operands.", "2 operands", x=f32["n"])
def operand_too_many(x):
    return dsl.op.Relu(x, x)  # operand_too_many


@program("Gemm is given its operand 'A' twice.", x=f32["n", 2])
def operand_twice(x):
    return dsl.op.Gemm(x, x, A=x)  # operand_twice


@program("Sqrt does not take this dtype as 'X'.", "x i64[n]", "f32", x=i64["n"])
def operand_dtype(x):
    return dsl.sqrt(x)  # operand_dtype


@program("An operand is no tensor, number or array.", "object", x=f32["n"])
def operand_kind(x):
    return x + object()  # operand_kind


@program(
    "GridSample does not accept these operands.",
    "grid f32[n, 5, 5, 3]",
    x=f32["n", 3, 8, 8],
    grid=f32["n", 5, 5, 3],
)
def raw_operator(x, grid):
    return dsl.op.GridSample(x, grid)  # raw_operator


@program("dropout is not in [0, 1)", "1.5", x=f32["n"])
def dropout_rate(x):
    return dsl.dropout(x, 1.5)  # dropout_rate


@program("pad needs one entry for each axis.", "2 entries", x=f32["n", 2])
def pad_axes(x):
    return dsl.pad(x, [1])  # pad_axes


@program("There are two parameters named 'x'.", "an input has it", x=f32["n", 2])
def parameter_like_input(x):
    return x @ dsl.parameter("x", (2, 2))  # parameter_like_input


@program("The parameter 'w' needs fixed sizes.", "[n, 2]", x=f32["n", 2])
def parameter_size(x):
    return x * dsl.parameter("w", x.shape)  # parameter_size


@program("The output 'x' has the name of an input", "'logits'", x=f32["n"])
def output_name(x):
    return {"x": x + 1}  # output_name


class _Keep(list):
    """Keeps the tensor that a model's function is called with."""

    def append_and_return(self, outside):
        self[:] = [outside]
        return outside + 1


KEPT = _Keep()


@pytest.mark.parametrize("name", PROGRAMS)
def test_wrong_program(name):
    function, inputs, said = PROGRAMS[name]
    with pytest.raises(dsl.DslError) as caught:
        dsl.model(**inputs)(function).to_ir()
    message = str(caught.value)
    for part in said:
        assert part in message, message
    assert caught.value.found
    assert caught.value.expected
    assert caught.value.remedy
    place = f"test_wrong_programs.py:{line_of(name)}, in "
    assert place in str(caught.value.where), message


def test_there_are_many_wrong_programs():
    assert len(PROGRAMS) >= 50


def test_the_error_shows_the_line():
    with pytest.raises(dsl.DslError) as caught:
        dsl.model(x=f32["n", 3], y=f32["n", 4])(broadcast).to_ir()
    assert str(caught.value).splitlines()[1].endswith("in broadcast: return x + y  # broadcast")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: f32["n", 2.5], "neither a size nor a name"),
        (lambda: f32["n", -3], "neither a size nor a name"),
        (lambda: f32["two words"], "is no name of a dimension"),
        (lambda: dsl.model(x=np.float32), "The input 'x' has no type."),
        (lambda: dsl.model(y=f32[2])(lambda x: x), "The types do not name the arguments"),
        (lambda: dsl.model(x=f32[2], y=f32[2])(lambda x: x), "The types do not name the arguments"),
        (lambda: dsl.conv(None, 1, 1), "takes a symbolic tensor"),
        (lambda: dsl.linear(np.ones((2, 2)), 2), "takes a symbolic tensor"),
        (lambda: dsl.softmax([1.0]), "takes a symbolic tensor"),
        (lambda: dsl.mean(2), "takes a symbolic tensor"),
        (lambda: dsl.cast(1, "f32"), "takes a symbolic tensor"),
        (lambda: dsl.parameter("w", (2,)), "No model is being built here."),
        (lambda: dsl.model(x=f32[2])(lambda x: x)(np.ones(2)), "something else than symbolic"),
    ],
)
def test_mistakes_outside_of_a_model(wrong, said):
    with pytest.raises(dsl.DslError, match=said) as caught:
        wrong()
    assert "test_wrong_programs.py:" in str(caught.value.where)


STATE = {"linear.weight": np.ones((2, 3)), "linear.bias": np.ones(2)}


@pytest.mark.parametrize(
    ("state", "names", "said"),
    [
        ({"linear.weight": np.ones((2, 3))}, None, "missing in the state: linear.bias"),
        (STATE | {"more": np.ones(1)}, None, "left over: more"),
        (STATE | {"linear.weight": np.ones((3, 2))}, None, r"\[2, 3\], the parameter made at"),
        (STATE, {"linear.bias": "b"}, "missing in the state: linear.bias"),
        (STATE | {"linear.bias": object()}, None, "no array"),
    ],
)
def test_loading_what_does_not_fit_changes_nothing(state, names, said):
    model = dsl.model(x=f32["n", 3])(lambda x: dsl.linear(x, 2))
    before = model.parameters()["linear.weight"].numpy().copy()
    with pytest.raises(dsl.DslError, match=said):
        model.load(state, names)
    np.testing.assert_array_equal(model.parameters()["linear.weight"].numpy(), before)


def test_a_mistake_in_the_model_leaves_no_model_open():
    with pytest.raises(dsl.DslError):
        dsl.model(x=f32[2])(lambda x: x[5]).to_ir()
    with pytest.raises(dsl.DslError, match="No model is being built here"):
        dsl.zeros((2,))


def test_errors_of_python_pass_through():
    with pytest.raises(ZeroDivisionError):
        dsl.model(x=f32[2])(lambda x: x * operator.truediv(1, 0)).to_ir()


def test_a_mistake_in_a_library_is_reported_there():
    """The innermost line that is not of the language, wherever the model calls it from."""
    assert isinstance(ir.SymbolicDim("n"), ir.SymbolicDim)

    def helper(x):
        return x @ x

    with pytest.raises(dsl.DslError, match="in helper: return x @ x"):
        dsl.model(x=f32[2, 3])(lambda x: helper(x * 2)).to_ir()
