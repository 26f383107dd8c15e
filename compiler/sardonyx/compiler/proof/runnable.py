"""Writes a model so that ONNX Runtime loads it at once: its constants are mapped from a file."""

from __future__ import annotations

from pathlib import Path

import onnx
import onnx_ir as ir

from sardonyx.compiler.export.skeleton import skeleton
from sardonyx.compiler.export.wire import tensor_chunks

_LEAST_STORED = 1024
_ALIGNMENT = 64
_AS_FLOAT = frozenset(
    dtype
    for dtype in ir.DataType
    if dtype.is_floating_point()
    and dtype not in {ir.DataType.FLOAT, ir.DataType.DOUBLE, ir.DataType.FLOAT16}
)
_AS_INT8 = frozenset(
    ir.DataType[name]
    for name in ("INT4", "UINT4", "INT2", "UINT2")
    if name in ir.DataType.__members__
)


class WeightStore:
    """Constants in one file, each once, however many models hold them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        # Holding the tensor keeps its identity from being given to another.
        self._known: dict[int, tuple[ir.TensorProtocol, int]] = {}
        self._file = path.open("wb")

    def place(self, tensor: ir.TensorProtocol) -> int:
        """Return where in the file a tensor begins; it is written if it is not there yet."""
        known = self._known.get(id(tensor))
        if known is None:
            gap = -self.size % _ALIGNMENT
            self._file.write(bytes(gap))
            begin = self.size + gap
            for chunk in tensor_chunks(tensor):
                self._file.write(chunk)
            self.size = self._file.tell()
            known = self._known[id(tensor)] = (tensor, begin)
        return known[1]

    def flush(self) -> None:
        """Let others read what was written."""
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def write_runnable(model: ir.Model, path: Path, store: WeightStore) -> Path:
    """Write a model whose inputs and outputs are of dtypes that numpy has; it is changed.

    Args:
        model: A model at stage target.
        path: Where to, in the folder of the store.
        store: Takes its large constants.
    """
    for value in model.graph.inputs:
        if not value.is_initializer():
            _widen_input(model, value)
    _widen_outputs(model)
    proto, initializers = skeleton(model)
    for initializer in initializers:
        tensor = initializer.tensor
        if tensor is None or initializer.nbytes < _LEAST_STORED:
            entry = initializer.proto if tensor is None else _inline(initializer.proto, tensor)
        else:
            entry = onnx.TensorProto()
            entry.CopyFrom(initializer.proto)
            entry.data_location = onnx.TensorProto.EXTERNAL
            where = {"location": store.path.name, "offset": store.place(tensor)}
            for key, said in {**where, "length": initializer.nbytes}.items():
                entry.external_data.add(key=key, value=str(said))
        proto.graph.initializer.append(entry)
    store.flush()
    path.write_bytes(proto.SerializeToString())
    return path


def _inline(proto: onnx.TensorProto, tensor: ir.TensorProtocol) -> onnx.TensorProto:
    made = onnx.TensorProto()
    made.CopyFrom(proto)
    made.raw_data = b"".join(bytes(chunk) for chunk in tensor_chunks(tensor))
    return made


def _wide(dtype: ir.DataType | None) -> ir.DataType | None:
    if dtype in _AS_FLOAT:
        return ir.DataType.FLOAT
    return ir.DataType.INT8 if dtype in _AS_INT8 else None


def _widen_input(model: ir.Model, value: ir.Value) -> None:
    wide, narrow = _wide(value.dtype), value.dtype
    if wide is None or narrow is None:
        return
    first = next(iter(model.graph), None)
    cast = ir.node("Cast", [value], {"to": int(narrow)}, name=f"{value.name}.narrow")
    cast.outputs[0].name = f"{value.name}.narrow"
    value.replace_all_uses_with(cast.outputs[0])
    cast.replace_input_with(0, value)
    # Other values may share the type object.
    value.type = ir.TensorType(wide)
    if first is None:
        model.graph.append(cast)
    else:
        model.graph.insert_before(first, cast)


def _widen_outputs(model: ir.Model) -> None:
    for index, value in enumerate(model.graph.outputs):
        wide = _wide(value.dtype)
        if wide is not None:
            cast = ir.node("Cast", [value], {"to": int(wide)}, name=f"{value.name}.wide")
            cast.outputs[0].name = f"{value.name}.wide"
            cast.outputs[0].dtype, cast.outputs[0].shape = wide, value.shape
            model.graph.append(cast)
            model.graph.outputs[index] = cast.outputs[0]
