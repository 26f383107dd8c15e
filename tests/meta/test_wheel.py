"""The built wheel holds all three parts and imports without the source tree."""

from __future__ import annotations

import subprocess
import sys
import zipfile

import pytest

from tests.meta.imports import REPOSITORY, ROOTS


@pytest.mark.slow
def test_the_wheel_holds_every_source_file(tmp_path):
    command = [sys.executable, "-m", "pip", "wheel", ".", "--no-deps", "-q", "-w", str(tmp_path)]
    subprocess.run(command, cwd=REPOSITORY, check=True, timeout=300)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if name.startswith("sardonyx/")}
        archive.extractall(tmp_path / "installed")
    sources = {
        path.relative_to(root).as_posix()
        for root in ROOTS.values()
        for path in root.rglob("*")
        if path.suffix == ".py" or path.name == "py.typed"
    }
    assert sources <= packed
    program = """if True:
        import sys
        sys.path.insert(0, sys.argv[1])
        from sardonyx import compiler, frontends, runtime
        for part in (compiler, frontends, runtime):
            assert part.__file__.startswith(sys.argv[1]), part.__file__
    """
    # -I keeps working directory and PYTHONPATH out; the wheel stands before an editable install.
    command = [sys.executable, "-I", "-c", program, str(tmp_path / "installed")]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=120)
