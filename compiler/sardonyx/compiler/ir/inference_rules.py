"""Sound inference for single operators, where onnx-shape-inference 0.4 guesses.

It takes different symbols that are broadcast for equal, slices for being in range, symbols for not
being 1 where Squeeze removes ones, axes of an Einsum for as long as in the first operand, axes and
lengths that are computed for left out, and unknown operands of Expand for scalars; and it knows the
elements of comparisons of shapes not.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import onnx_ir as ir
import sympy
from onnx_shape_inference import OpUsageError, ShapeInferenceContext, _broadcast, registry
from onnx_shape_inference._ops._utils import ceil_div_dim, max_dim, min_dim
from onnx_shape_inference._symbolic_shapes import dim_to_expr, expr_to_dim

Dim = int | ir.SymbolicDim

_MOST_AXES = 64
_FAR = 2**31 - 1
_SOME = 1000
"""More than most numbers that slices are bounded by."""
_MOST_SYMBOLS = 3
"""Of two lengths together, for trying all of their symbols out."""
_ENDS = (2**31 - 1, 2**63 - 1)
"""What exporters write for the end of an axis, at least."""


def register() -> None:
    """Take the place of the library's rules."""
    registry.register("", "Slice", since_version=10)(_infer_slice)
    registry.register("", "Equal", since_version=7)(_infer_equal)
    registry.register("", "Where", since_version=9)(_infer_where)
    divide = registry.get("", "Div", 23)
    registry.register("", "Div", since_version=7)(_with_exact_quotients(divide))
    registry.register("", "ConstantOfShape", since_version=9)(_infer_constant_of_shape)
    concat, reshape = registry.get("", "Concat", 23), registry.get("", "Reshape", 23)
    registry.register("", "Concat", since_version=4)(_with_few_elements(concat))
    registry.register("", "Reshape", since_version=5)(_with_few_axes(reshape))
    squeeze = registry.get("", "Squeeze", 23)
    registry.register("", "Squeeze", since_version=1)(_with_all_axes_known(squeeze))
    registry.register("", "Unique", since_version=11)(_infer_unique)
    unsqueeze = registry.get("", "Unsqueeze", 23)
    registry.register("", "Unsqueeze", since_version=13)(_with_rank_known(unsqueeze))
    pad = registry.get("", "Pad", 23)
    registry.register("", "Pad", since_version=11)(_with_axes_known(pad))
    split = registry.get("", "Split", 23)
    registry.register("", "Split", since_version=13)(_with_lengths_known(split))
    mel = registry.get("", "MelWeightMatrix", 23)
    registry.register("", "MelWeightMatrix", since_version=17)(_with_its_sizes(mel))
    expand = registry.get("", "Expand", 23)
    registry.register("", "Expand", since_version=8)(_with_operand_known(expand))
    cast_like = registry.get("", "CastLike", 23)
    registry.register("", "CastLike", since_version=15)(_with_elements(cast_like))
    einsum = registry.get("", "Einsum", 23)
    registry.register("", "Einsum", since_version=12)(_with_broadcast_letters(einsum))
    for op_type, choose in (("Max", sympy.Max), ("Min", sympy.Min)):
        infer = registry.get("", op_type, 23)
        registry.register("", op_type, since_version=8)(_with_chosen(infer, choose))
    # The one function behind all operators that broadcast.
    _broadcast._broadcast_dim = _broadcast_dim


def _with_its_sizes(infer: Any) -> Any:
    """The matrix has a row for each frequency of half a transform, a column for each mel bin."""

    def sized(context: ShapeInferenceContext, node: ir.Node) -> None:
        infer(context, node)
        bins, length = (ir.convenience.get_const_tensor(v) if v else None for v in node.inputs[:2])
        columns = context.new_symbolic_dim() if bins is None else int(bins.numpy().item())
        rows = context.new_symbolic_dim() if length is None else int(length.numpy().item()) // 2 + 1
        node.outputs[0].shape = ir.Shape([rows, columns])

    return sized


def _with_broadcast_letters(infer: Any) -> Any:
    """A letter of an equation may be 1 long in some operands; the library believes the first."""

    def broadcast(context: ShapeInferenceContext, node: ir.Node) -> None:
        infer(context, node)
        result = node.outputs[0].shape
        operands, arrow, written = node.attributes.get_string("equation", "").partition("->")
        if result is None or not arrow:
            return  # Without an arrow what several operands have is summed.
        lengths: dict[str, Dim] = {}
        for term, value in zip(operands.split(","), node.inputs, strict=True):
            for letter, _, dim in _letters(term, value.shape if value is not None else None):
                length = _broadcast_dim(lengths.get(letter, dim), dim)
                if length is None:
                    raise OpUsageError(node, f"{letter!r} is {lengths[letter]} and {dim} long")
                lengths[letter] = length
        dims = list(result)
        for letter, axis, _ in _letters(written, result):
            dims[axis] = lengths.get(letter, dims[axis])
        node.outputs[0].shape = ir.Shape(dims)

    return broadcast


def _letters(term: str, shape: ir.Shape | None) -> list[tuple[str, int, Dim]]:
    """Return the letters of a term of an equation, their axes and lengths."""
    dims = list(shape or ())
    before, _, after = term.replace(" ", "").partition("...")
    axes = [*range(len(before)), *range(len(dims) - len(after), len(dims))]
    return [(letter, axis, dims[axis]) for letter, axis in zip(before + after, axes, strict=True)]


def _broadcast_dim(a: Dim, b: Dim) -> Dim | None:
    """Return the broadcast of two dimensions, None if they cannot be."""
    if a in (1, b):
        return b
    if b == 1:
        return a
    if isinstance(a, int) and isinstance(b, int):
        return None
    if isinstance(a, int) or isinstance(b, int):
        # The other one is 1 or the same.
        return a if isinstance(a, int) else b
    return _either(a, b)


@functools.lru_cache(maxsize=4096)
def _either(a: ir.SymbolicDim, b: ir.SymbolicDim) -> ir.SymbolicDim:
    """Return what two lengths give that are equal, or of which one is 1.

    That is the larger one, unless the larger one is 1 and the other 0.
    """
    larger = max_dim(a, b)
    for one, other in ((a, b), (b, a)):
        if larger == one and _is_1_with(other, one):
            return one
    pair = ",".join(sorted((str(a), str(b))))
    return ir.SymbolicDim(f"_broadcast_{hashlib.sha256(pair.encode()).hexdigest()[:12]}")


def _is_1_with(other: ir.SymbolicDim, one: ir.SymbolicDim) -> bool:
    """Say whether a length is 1 where another is: Min(512, n) is, n // 2 is not."""
    symbols = sorted(one.free_symbols() | other.free_symbols())
    if len(symbols) > _MOST_SYMBOLS:
        return False
    cases = itertools.product((0, 1, 2, _SOME), repeat=len(symbols))
    lengths = (
        [_evaluated(dim, dict(zip(symbols, case, strict=True))) for dim in (one, other)]
        for case in cases
    )
    found = [length for length_of_one, length in lengths if length_of_one == 1]
    return bool(found) and set(found) == {1}


def _infer_slice(types: ShapeInferenceContext, node: ir.Node) -> None:
    """Slice clamps its bounds to the axis, so that its extents are minima and maxima."""
    data, starts, ends = node.inputs[:3]
    if data is None or starts is None or ends is None:
        raise OpUsageError(node, "data, starts and ends are required")
    output = node.outputs[0]
    types.set_shape_and_dtype(output, None, data.dtype)
    if data.shape is None:
        return
    rank = len(data.shape)
    count = _count(starts, ends)
    axes = _operand(types, node, 3, None if count is None else list(range(count)))
    if axes is None or not all(isinstance(axis, int) and -rank <= axis < rank for axis in axes):
        types.set_shape(output, ir.Shape([types.new_symbolic_dim() for _ in range(rank)]))
        return
    unknown = [None] * len(axes)
    steps = _operand(types, node, 4, [1] * len(axes)) or unknown
    first = types.get_symbolic_value(starts) or unknown
    last = types.get_symbolic_value(ends) or unknown
    dims = list(data.shape)
    for axis, start, end, step in zip(axes, first, last, steps, strict=True):
        extent = _extent(types, data.shape[axis], start, end, step)
        dims[axis] = types.new_symbolic_dim() if extent is None else extent
    types.set_shape(output, ir.Shape(dims))
    elements = types.get_symbolic_value(data)
    is_known = (
        elements is not None
        and rank == 1
        and all(isinstance(bound, int) for bounds in (first, last, steps) for bound in bounds)
    )
    if is_known:
        for start, end, step in zip(first, last, steps, strict=True):
            elements = [elements[i] for i in _indices(len(elements), start, end, step)]
        types.set_symbolic_value(output, elements)


def _count(*operands: ir.Value) -> int | None:
    for value in operands:
        if value.shape is not None and len(value.shape) == 1 and isinstance(value.shape[0], int):
            return value.shape[0]
    return None


def _operand(
    types: ShapeInferenceContext, node: ir.Node, index: int, absent: list[int] | None
) -> list[Any] | None:
    """Return the elements of an optional operand, `absent` if it is left out, None if unknown."""
    value = node.inputs[index] if index < len(node.inputs) else None
    if value is None:
        return absent
    known: list[Any] | None = types.get_symbolic_value(value)
    return known


def _extent(
    types: ShapeInferenceContext, dim: Dim, start: Dim | None, end: Dim | None, step: Dim | None
) -> Dim | None:
    """Return how many elements a slice takes from an axis, None where that is not known."""
    if start is None or end is None or not isinstance(step, int) or step == 0:
        return None
    if isinstance(dim, int) and isinstance(start, int) and isinstance(end, int):
        return len(_indices(dim, start, end, step))
    extent = _extent_of_some(types, dim, start, end, step)
    if extent is None or _holds_when_empty(extent, dim, start, end, step):
        return extent
    known: ir.SymbolicDim = types.length(("Slice", dim, start, end, step))
    return known


@functools.lru_cache(maxsize=4096)
def _holds_when_empty(extent: Dim, dim: Dim, start: Dim, end: Dim, step: int) -> bool:
    """Say whether an extent is right for symbols that are 0 too; expressions take them for more."""
    taken = (extent, dim, start, end)
    symbols = {s for each in taken if isinstance(each, ir.SymbolicDim) for s in each.free_symbols()}
    cases = [dict.fromkeys(symbols, 0)]
    cases += [{**dict.fromkeys(symbols, _SOME), symbol: 0} for symbol in symbols]
    for case in cases:
        found, length, first, last = (_evaluated(each, case) for each in taken)
        if found is None or length is None or first is None or last is None or length < 0:
            # Nothing is that long.
            continue
        if found != len(_indices(length, first, last, step)):
            return False
    return True


def _evaluated(dim: Dim, symbols: Mapping[str, int]) -> int | None:
    found = dim.evaluate(symbols) if isinstance(dim, ir.SymbolicDim) else dim
    return found if isinstance(found, int) else None


def _extent_of_some(
    types: ShapeInferenceContext, dim: Dim, start: Dim, end: Dim, step: int
) -> Dim | None:
    """Return an extent where symbols are at least 1."""
    if step < 0:
        return dim if step == -1 and _is_reversal(start, end) else None
    if isinstance(end, int) and end >= _FAR:
        last: Dim | None = dim
    else:
        last = _clamped(types, dim, end)
    if last is None or types.is_negative(start) is None:
        return None
    first = max_dim(0, dim + start) if types.is_negative(start) else start
    if first is None:
        return None
    if first == 0 and step == 1:
        return last
    extent: Dim | None = max_dim(0, ceil_div_dim(last - first, step))
    return extent


def _indices(length: int, start: int, end: int, step: int) -> range:
    """Return what a slice takes. Backwards, a start before the first element is the first one.

    As in ONNX Runtime, and unlike in numpy, the largest integers stand for the end of the axis that
    the slice goes to.
    """
    if not length or not step:
        return range(0)
    first = start + length if start < 0 else start
    last = end + length if end < 0 else end
    if step > 0:
        return range(min(max(first, 0), length), min(max(last, 0), length), step)
    last = -1 if end in _ENDS else min(max(last, -1), length)
    return range(min(max(first, 0), length - 1), last, step)


def _is_reversal(start: Dim, end: Dim) -> bool:
    if not isinstance(start, int) or not isinstance(end, int):
        return False
    return (start == -1 or start >= _FAR) and end <= -_FAR


def _clamped(types: ShapeInferenceContext, dim: Dim, end: Dim) -> Dim | None:
    """Return the bound of a slice with a positive step, None where its sign is not known."""
    is_negative = types.is_negative(end)
    if is_negative is None:
        return None
    found: Dim | None = max_dim(0, dim + end) if is_negative else min_dim(dim, end)
    return found


def _infer_equal(types: ShapeInferenceContext, node: ir.Node) -> None:
    """A dimension is never a negative number; legacy exporters ask whether it is -1."""
    a, b = node.inputs[:2]
    if a is None or b is None:
        raise OpUsageError(node, "two operands are required")
    output = node.outputs[0]
    shape = _broadcast.broadcast_shapes(a.shape, b.shape)
    types.set_shape_and_dtype(output, shape, ir.DataType.BOOL)
    known = _aligned(types, [a, b])
    if known is not None:
        types.set_symbolic_value(output, [_is_equal(types, x, y) for x, y in known])


def _is_equal(types: ShapeInferenceContext, x: Dim, y: Dim) -> Dim:
    if isinstance(x, int) and isinstance(y, int):
        return int(x == y)
    if x == y:
        return 1
    signs = {types.is_negative(x), types.is_negative(y)}
    return 0 if signs == {True, False} else types.new_symbolic_dim()


def _infer_where(types: ShapeInferenceContext, node: ir.Node) -> None:
    """Elements are known where the condition is, or where both choices are the same."""
    condition, x, y = node.inputs[:3]
    if condition is None or x is None or y is None:
        raise OpUsageError(node, "three operands are required")
    output = node.outputs[0]
    shape = _broadcast.broadcast_shapes(x.shape, y.shape)
    shape = _broadcast.broadcast_shapes(shape, condition.shape)
    types.set_shape_and_dtype(output, shape, x.dtype or y.dtype)
    known = _aligned(types, [condition, x, y])
    if known is not None:
        types.set_symbolic_value(output, [_choice(types, *each) for each in known])


def _choice(types: ShapeInferenceContext, condition: Dim, x: Dim, y: Dim) -> Dim:
    if isinstance(condition, int):
        return x if condition else y
    return x if x == y else types.new_symbolic_dim()


def _aligned(
    types: ShapeInferenceContext, operands: Sequence[ir.Value]
) -> list[tuple[Dim, ...]] | None:
    """Return the elements of vectors and scalars that are broadcast, side by side."""
    known = [types.get_symbolic_value(value) for value in operands]
    if any(elements is None for elements in known):
        return None
    length = max(map(len, known))
    if any(len(elements) not in (1, length) for elements in known):
        return None
    return list(zip(*(e if len(e) == length else e * length for e in known), strict=True))


def _infer_constant_of_shape(types: ShapeInferenceContext, node: ir.Node) -> None:
    """The library reads constant shapes only. The rank is the number of elements of the shape."""
    shape = node.inputs[0]
    if shape is None:
        raise OpUsageError(node, "a shape is required")
    value = node.attributes.get("value")
    dtype = ir.DataType.FLOAT if value is None else value.as_tensor().dtype
    dims = types.get_symbolic_value(shape)
    rank = shape.shape[0] if shape.shape is not None and len(shape.shape) == 1 else None
    if dims is None and isinstance(rank, int) and rank <= _MOST_AXES:
        dims = [types.new_symbolic_dim() for _ in range(rank)]
    types.set_shape_and_dtype(node.outputs[0], None if dims is None else ir.Shape(dims), dtype)


def _infer_unique(types: ShapeInferenceContext, node: ir.Node) -> None:
    """Along an axis it keeps the others; the library then says one axis."""
    data = node.inputs[0]
    if data is None:
        raise OpUsageError(node, "an operand is required")
    found, axis = types.new_symbolic_dim(), node.attributes.get_int("axis", None)
    given: Dim = types.new_symbolic_dim()
    shape = None
    if axis is None:
        shape = ir.Shape([found])
    elif data.shape is not None:
        rank = len(data.shape)
        if not -rank <= axis < rank:
            raise OpUsageError(node, f"axis={axis} is out of range for rank {rank}")
        given = data.shape[axis]
        shape = ir.Shape([found if i == axis % rank else d for i, d in enumerate(data.shape)])
    shapes = (shape, *(ir.Shape([length]) for length in (found, given, found)))
    dtypes = (data.dtype, *[ir.DataType.INT64] * 3)
    for output, shape, dtype in zip(node.outputs, shapes, dtypes, strict=False):
        types.set_shape_and_dtype(output, shape, dtype)


def _with_exact_quotients(infer: Any) -> Any:
    """The library divides numbers only. What is no less than 0 is rounded down, as integers are."""

    def infer_div(types: ShapeInferenceContext, node: ir.Node) -> None:
        infer(types, node)
        operands = [value for value in node.inputs if value is not None]
        known = _aligned(types, operands) if len(operands) == 2 else None
        if known is None or types.get_symbolic_value(node.outputs[0]) is not None:
            return
        quotients = [_exact_quotient(types, x, y) for x, y in known]
        if None not in quotients:
            types.set_symbolic_value(node.outputs[0], quotients)

    return infer_div


def _with_chosen(infer: Any, choose: Any) -> Any:
    """The library knows the largest of numbers only, not that of symbols."""

    def infer_choice(types: ShapeInferenceContext, node: ir.Node) -> None:
        infer(types, node)
        operands = [value for value in node.inputs if value is not None]
        is_integer = all(value.dtype == ir.DataType.INT64 for value in operands)
        known = _aligned(types, operands) if is_integer and operands else None
        if known is not None:
            elements = [_chosen(types, choose, each) for each in known]
            types.set_symbolic_value(node.outputs[0], elements)

    return infer_choice


def _chosen(types: Any, choose: Any, dims: Sequence[Dim]) -> Dim:
    """The largest or least of dimensions, unless it follows only from symbols being above 0.

    The library's are; but lengths may be 0, and elements anything.
    """
    expressions = [dim_to_expr(dim) for dim in dims]
    if None in expressions:
        return types.new_symbolic_dim()  # type: ignore[no-any-return]
    weaker = {}
    for symbol in set().union(*(each.free_symbols for each in expressions)):
        is_length = types.is_negative(ir.SymbolicDim(symbol.name)) is False
        weaker[symbol] = sympy.Symbol(symbol.name, integer=True, nonnegative=is_length or None)
    try:
        found = choose(*expressions)
        sure = choose(*(each.xreplace(weaker) for each in expressions))
    except (TypeError, ValueError):
        return types.new_symbolic_dim()  # type: ignore[no-any-return]
    made: Dim = expr_to_dim(found) if str(found) == str(sure) else types.new_symbolic_dim()
    return made


def _exact_quotient(types: ShapeInferenceContext, x: Dim, y: Dim) -> Dim | None:
    if not isinstance(y, int) or y <= 0 or types.is_negative(x) is not False:
        return None
    quotient: Dim = x // y
    return quotient


def _with_few_elements(infer: Any) -> Any:
    """The library makes a symbol for each element of a vector, however many they are."""

    def infer_concat(types: ShapeInferenceContext, node: ir.Node) -> None:
        shapes = [value.shape for value in node.inputs if value is not None]
        lengths = [shape[0] for shape in shapes if shape is not None and len(shape) == 1]
        known = [length for length in lengths if isinstance(length, int)]
        if sum(known) <= _MOST_AXES or len(lengths) < len(node.inputs) or node.inputs[0] is None:
            infer(types, node)
            return
        total: Dim = 0
        for length in lengths:
            total = total + length
        types.set_shape_and_dtype(node.outputs[0], ir.Shape([total]), node.inputs[0].dtype)

    return infer_concat


def _with_few_axes(infer: Any) -> Any:
    """The library makes a symbol for each axis of a result, however many a file asks for."""

    def infer_reshape(types: ShapeInferenceContext, node: ir.Node) -> None:
        data, shape = node.inputs[:2]
        length = shape.shape[0] if shape is not None and shape.shape else 0
        if data is not None and isinstance(length, int) and length > _MOST_AXES:
            types.set_shape_and_dtype(node.outputs[0], None, data.dtype)
        else:
            infer(types, node)

    return infer_reshape


def _with_all_axes_known(infer: Any) -> Any:
    """Squeeze without axes removes the ones: unknown dimensions may be among them.

    The library takes axes that are computed for none.
    """

    def infer_squeeze(types: ShapeInferenceContext, node: ir.Node) -> None:
        data = node.inputs[0]
        names_axes = "axes" in node.attributes or any(v is not None for v in node.inputs[1:])
        is_sure = not _is_computed(node, 1) if names_axes else data is None or _is_static(data)
        if data is None or is_sure:
            infer(types, node)
        else:
            types.set_shape_and_dtype(node.outputs[0], None, data.dtype)

    return infer_squeeze


def _with_rank_known(infer: Any) -> Any:
    """Where the new axes are computed, the library does not say how many axes there are then."""

    def infer_unsqueeze(types: ShapeInferenceContext, node: ir.Node) -> None:
        infer(types, node)
        data, axes = (*node.inputs, None)[:2]
        count = _count(axes) if axes is not None else None
        if data is None or data.shape is None or count is None or node.outputs[0].shape is not None:
            return
        if len(data.shape) + count <= _MOST_AXES:
            dims = [types.new_symbolic_dim() for _ in range(len(data.shape) + count)]
            types.set_shape_and_dtype(node.outputs[0], ir.Shape(dims), data.dtype)

    return infer_unsqueeze


def _is_static(data: ir.Value) -> bool:
    return data.shape is None or data.shape.is_static()


def _with_axes_known(infer: Any) -> Any:
    """The library takes axes of Pad that are computed for all."""

    def infer_pad(types: ShapeInferenceContext, node: ir.Node) -> None:
        data = node.inputs[0]
        if data is None or data.shape is None or not _is_computed(node, 3):
            infer(types, node)
        else:
            shape = ir.Shape([types.new_symbolic_dim() for _ in data.shape])
            types.set_shape_and_dtype(node.outputs[0], shape, data.dtype)

    return infer_pad


def _with_lengths_known(infer: Any) -> Any:
    """The library takes lengths of Split that are computed for equal ones."""

    def infer_split(types: ShapeInferenceContext, node: ir.Node) -> None:
        data, axis = node.inputs[0], node.attributes.get_int("axis", 0)
        if data is None or data.shape is None or not _is_computed(node, 1):
            infer(types, node)
            return
        rank, lengths = len(data.shape), node.inputs[1]
        if not -rank <= axis < rank or lengths is None:
            infer(types, node)
            return
        known = types.get_symbolic_value(lengths) or []
        for output, length in itertools.zip_longest(node.outputs, known[: len(node.outputs)]):
            dims: list[Dim] = list(data.shape)
            dims[axis] = types.new_symbolic_dim() if length is None else length
            types.set_shape_and_dtype(output, ir.Shape(dims), data.dtype)

    return infer_split


def _with_operand_known(infer: Any) -> Any:
    """The library takes an operand of unknown rank for a scalar."""

    def infer_expand(types: ShapeInferenceContext, node: ir.Node) -> None:
        data = node.inputs[0]
        if data is None or data.shape is not None:
            infer(types, node)
        else:
            types.set_shape_and_dtype(node.outputs[0], None, data.dtype)

    return infer_expand


def _is_computed(node: ir.Node, index: int) -> bool:
    """Say whether an optional operand is there and no constant."""
    value = node.inputs[index] if index < len(node.inputs) else None
    return value is not None and ir.convenience.get_const_tensor(value) is None


def _with_elements(infer: Any) -> Any:
    """Let the output have the elements of the first operand."""

    def infer_elements(types: ShapeInferenceContext, node: ir.Node) -> None:
        infer(types, node)
        known = None if node.inputs[0] is None else types.get_symbolic_value(node.inputs[0])
        if known is not None:
            types.set_symbolic_value(node.outputs[0], known)

    return infer_elements
