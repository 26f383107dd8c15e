"""What `tests.conformance.files` says of files that are right, wrong or refused."""

from __future__ import annotations

from pathlib import Path

import onnx
import onnx_ir as ir
import pytest

from sardonyx.compiler import compile
from tests.conformance import files
from tests.conformance.files import Job, judge
from tests.support.models import HEADER

RIGHT = "g (float[n,3] x) => (float[n,3] y) { a = Relu(x) y = Sqrt(a) }"
NO_TYPE = 'g (int32[3] x) => (int32[3] y) { y = BitShift<direction = "LEFT">(x, x) }'
NO_RUN = "g (float[3] x, int64[2] s) => (float[k,m] y) { y = Reshape(x, s) }"
RANDOM = "g () => (float[2] y) { y = RandomNormal <shape = [2]> () }"


@pytest.mark.parametrize(
    ("text", "kind"),
    [(RIGHT, "right"), (NO_TYPE, "refused"), (NO_RUN, "not run"), (RANDOM, "random")],
)
def test_a_file_is_judged(text: str, kind: str, tmp_path: Path):
    assert judge(Job(_written(text, tmp_path), is_proven=True)).kind == kind


def _written(text: str, folder: Path) -> Path:
    path = folder / "model.onnx"
    onnx.save(ir.to_proto(ir.from_onnx_text(HEADER + text)), path)
    return path


def test_a_program_that_computes_something_else_is_wrong(tmp_path, monkeypatch):
    def wrong(*arguments, **options):
        program = compile(*arguments, **options)
        (node,) = (n for n in program.model.graph if n.op_type == "Relu")
        node.op_type = "Abs"
        return program

    path = _written(RIGHT, tmp_path)
    monkeypatch.setattr(files, "compile", wrong)
    outcome = judge(Job(path, is_proven=False))
    assert outcome.kind == "wrong"
    assert outcome.why.startswith("cpu: sample 0, output 'y': element [")


def test_what_is_refused_and_runs_is_an_error(tmp_path, monkeypatch):
    def refuses(*arguments, **options):
        raise files.SardonyxError("No.")

    path = _written(RIGHT, tmp_path)
    monkeypatch.setattr(files, "compile", refuses)
    assert judge(Job(path, is_proven=False)).kind == "error"
