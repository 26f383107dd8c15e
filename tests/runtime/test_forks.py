"""Sessions in forked children: they work, or say why not; nothing crashes or hangs."""

from __future__ import annotations

import os
import sys

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from sardonyx import runtime

from .models import AFFINE, LOOP, model

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")

HELPERS = """
import os, sys, time
import numpy as np
from sardonyx import runtime

def child(work):
    pid = os.fork()
    if pid == 0:
        work()
        sys.exit(7)
    end = time.monotonic() + 30
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(pid, 9)
    return "hangs"

def refused(call):
    try:
        call()
    except runtime.RunError as error:
        sys.stdout.write(str(error) + "\\n")

"""

PARENT = (
    HELPERS
    + """
x, w, b = (np.random.default_rng(0).standard_normal(s, np.float32) for s in [(2, 3), (3, 4), 4])
session = runtime.load({source!r}, threads=2)
expected = [y.tobytes() for y in session(x, w, b)]
bound = session.bind(x, w, b)

def use():
    assert [y.tobytes() for y in session(x, w, b)] == expected
    assert [y.tobytes() for y in session.run(x, w, b, timeout=30)] == expected
    assert [y.tobytes() for y in session.run_async(x, w, b).result()] == expected
    assert session.bind(x, w, b)()[0].tobytes() == expected[0]

def delete():
    global session, bound
    del session, bound

def twice():
    assert child(use) == 7
    use()
"""
)


@pytest.fixture
def parent(tmp_path):
    path = tmp_path / "net.onnx"
    path.write_bytes(model(AFFINE))
    return PARENT.format(source=str(path))


@pytest.mark.parametrize("work", ["use", "delete", "twice", "lambda: None"])
def test_a_child_uses_or_deletes_what_it_inherits_and_exits_as_it_wants(run_python, parent, work):
    code = f"{parent}\nprint(child({work}), [y.tobytes() for y in session(x, w, b)] == expected)"
    flags = ["-W", "ignore::DeprecationWarning"] if sys.version_info >= (3, 12) else []
    assert run_python(code, *flags) == "7 True"


@pytest.mark.parametrize("leave", ["sys.exit(7)", "os._exit(7)"])
def test_a_child_exits_though_its_parent_made_no_session(run_python, leave):
    code = f"""
import os, sys
import onnxruntime
from sardonyx import runtime
child = os.fork()
if child == 0:
    if "sys" in {leave!r}: sys.stdout.write("in the child ")
    {leave}
status = os.waitpid(child, 0)[1]
print(os.waitstatus_to_exitcode(status))
"""
    flags = ["-W", "ignore::DeprecationWarning"] if sys.version_info >= (3, 12) else []
    assert run_python(code, *flags) == ("in the child 7" if "sys" in leave else "7")


def test_what_a_child_cannot_have_is_refused_clearly(run_python, parent, tmp_path):
    code = f"""{parent}
of_bytes = runtime.load({model(LOOP)!r})
os.utime({str(tmp_path / "net.onnx")!r}, (1, 1))
endless = of_bytes.run_async(2**62, 0)
calls = [bound, lambda: of_bytes(1, 1), lambda: session(x, w, b), endless.result]
print(child(lambda: [refused(call) for call in calls]))
print(endless.cancel(), of_bytes(3, 1.0)[0])
"""
    flags = ["-W", "ignore::DeprecationWarning"] if sys.version_info >= (3, 12) else []
    what = "the session was made before this process was forked, and has no threads here"
    remedy = "load the model in the child, or start processes by 'spawn' instead of 'fork'"
    path = tmp_path / "net.onnx"
    refusals = [
        f"{what}\n  where: {where}\n  found: {found}\n  try: {remedy}"
        for where, found in [
            (path, "memory bound to the session of the parent process"),
            (f"a model of {len(model(LOOP))} bytes", "the model is not in a file"),
            (path, "the file of the model has changed, or is gone"),
        ]
    ]
    pending = """the call was started before this process was forked
  try: wait for it in the parent process, or start it in the child"""
    assert run_python(code, *flags).splitlines() == [
        *"\n".join([*refusals, pending]).splitlines(),
        "7",
        "True 4.0",
    ]


@pytest.mark.parametrize("cache", [None, "kept"])
def test_a_child_may_go_to_another_folder(run_python, parent, tmp_path, cache):
    code = f"""{parent}
os.chdir({str(tmp_path)!r})
session = runtime.load("net.onnx", cache={cache and str(tmp_path / cache)!r})
def use_from_root():
    os.chdir("/")
    use()
print(child(use_from_root))
"""
    flags = ["-W", "ignore::DeprecationWarning"] if sys.version_info >= (3, 12) else []
    assert run_python(code, *flags) == "7"


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("pass", None),
        ("os.replace('other', 'w.data')", "the file of its weights, 'w.data', has changed"),
        ("open('w.data', 'r+b').write(b'1')", "the file of its weights, 'w.data', has changed"),
        ("os.remove('w.data')", "the file of its weights, 'w.data', is gone"),
        ("os.remove('net.onnx')", "the file of the model has changed, or is gone"),
    ],
)
def test_weights_that_others_replaced_are_not_computed_with(run_python, tmp_path, change, found):
    x, w = (np.random.default_rng(5).standard_normal(s, np.float32) for s in [(2, 3), (3, 64)])
    proto = onnx.load_from_string(model("g (float[b, 3] x) => (float[b, 64] y) {y = MatMul(x, w)}"))
    proto.graph.initializer.append(numpy_helper.from_array(w, "w"))
    (tmp_path / "other").write_bytes((2 * w).tobytes())
    os.utime(tmp_path / "other", (1, 1))
    onnx.save(
        proto,
        tmp_path / "net.onnx",
        save_as_external_data=True,
        location="w.data",
        size_threshold=0,
    )
    code = f"""{HELPERS}
os.chdir({str(tmp_path)!r})
session = runtime.load("net.onnx")
time.sleep(0.02)
{change}
print(child(lambda: refused(lambda: sys.stdout.write(str(session({x.tolist()!r})[0][1, 63])))))
"""
    flags = ["-W", "ignore::DeprecationWarning"] if sys.version_info >= (3, 12) else []
    *said, status = run_python(code, *flags).splitlines()
    if found is None:
        value, status = said[0].removesuffix("7") if said else status[:-1], "7"
        np.testing.assert_allclose(float(value), (x @ w)[1, 63], rtol=1e-5)
    else:
        assert said[1:3] == ["  where: net.onnx", f"  found: {found}"]
    assert status == "7"


def test_a_session_that_its_parent_uses_meanwhile_is_inherited_too(run_python, parent):
    code = f"""{parent}
import threading
going = True
def busy():
    while going:
        session(x, w, b)
threads = [threading.Thread(target=busy) for _ in range(2)]
for thread in threads: thread.start()
print({{child(use) for _ in range(2)}})
going = False
for thread in threads: thread.join()
"""
    flags = ["-W", "ignore::DeprecationWarning"] if sys.version_info >= (3, 12) else []
    assert run_python(code, *flags) == "{7}"


def test_nothing_is_kept_of_a_session_that_is_deleted_before_the_fork():
    import gc
    import weakref

    session = runtime.load(model(AFFINE))
    gone = weakref.ref(session._engine)
    del session
    gc.collect()
    assert gone() is None
