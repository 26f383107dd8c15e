"""Text in, text out: tests/golden/passes holds models before and after a pass.

A file is a model in the ONNX textual syntax without its header, a line of dashes, and what the
pass makes of it. `pytest --update-golden` writes the second part anew; read the difference.
"""

from __future__ import annotations

from pathlib import Path

import onnx_ir as ir
import pytest

from sardonyx.compiler.ir.text import to_text
from sardonyx.compiler.passes.base import Pass
from sardonyx.compiler.passes.canonicalize import Canonicalize
from sardonyx.compiler.passes.convert_precision import ConvertPrecision
from sardonyx.compiler.passes.cse import ShareCommonSubexpressions
from sardonyx.compiler.passes.dead_code import RemoveDeadCode
from sardonyx.compiler.passes.fold_constants import FoldConstants
from sardonyx.compiler.passes.fold_shapes import FoldShapes
from sardonyx.compiler.passes.fuse import Fuse
from sardonyx.compiler.passes.inline_if import InlineIf
from sardonyx.compiler.passes.layout import AssignLayouts
from sardonyx.compiler.passes.lift_constants import LiftConstants
from sardonyx.compiler.passes.lower import Lower
from sardonyx.compiler.passes.recognize import Recognize
from sardonyx.compiler.passes.select import Select
from sardonyx.compiler.passes.share_weights import ShareWeights
from sardonyx.compiler.targets import CPU
from tests.support.models import model
from tests.support.rules import apply

FOLDER = Path(__file__).parents[2] / "golden" / "passes"
LINE = "-" * 72
PASSES: dict[str, Pass] = {
    each.name: each
    for each in (
        LiftConstants(),
        FoldConstants(),
        FoldShapes(),
        InlineIf(),
        Canonicalize(),
        ShareCommonSubexpressions(),
        ShareWeights(),
        RemoveDeadCode(),
        Recognize(),
        Fuse(),
        Select(CPU.selections),
        Lower(),
        ConvertPrecision(),
        AssignLayouts(),
    )
}


@pytest.mark.parametrize("name", PASSES)
def test_text_in_text_out(name, request):
    path = FOLDER / f"{name}.txt"
    before, _, wanted = path.read_text().partition(f"\n{LINE}\n")
    given = model(before)
    apply(PASSES[name], given)
    found = _body(given)
    if request.config.getoption("--update-golden"):
        path.write_text(f"{before}\n{LINE}\n{found}\n")
        return
    assert found == wanted.rstrip("\n"), "if this is right: pytest --update-golden"
    apply(PASSES[name], given)
    assert _body(given) == found, "a second run changes it"


def test_every_file_is_of_a_pass():
    assert {path.stem for path in FOLDER.glob("*.txt")} == set(PASSES)


def _body(given: ir.Model) -> str:
    """The text without its header."""
    text = to_text(given, brief=True)
    return text[text.index("\n>\n") + 3 :].strip()
