"""Sessions on a CUDA device: `make gpu`."""

import concurrent.futures
import math
import threading

import numpy as np
import pytest

from sardonyx import runtime

from .models import AFFINE, model

pytestmark = pytest.mark.gpu
torch = pytest.importorskip("torch")
GRAPHS = ("cuda", {"enable_cuda_graph": True, "use_tf32": False})
EXACT = ("cuda", {"use_tf32": False})
CLOSE = {"rtol": 1e-5, "atol": 1e-5}


def operands(batch=2, out=4):
    return [torch.randn(*shape, device="cuda") for shape in [(batch, 3), (3, out), (out,)]]


def expected(x, w, b):
    return (x.double() @ w.double() + b.double()).float()


@pytest.mark.parametrize("batch", [0, 1, 5])
def test_tensors_of_the_device_stay_there(batch):
    session = runtime.load(model(AFFINE), providers=[EXACT])
    x, w, b = operands(batch)
    y, z = session(x, w, b)
    assert y.device == x.device
    torch.testing.assert_close(y, expected(x, w, b), **CLOSE)
    torch.testing.assert_close(z, -y, rtol=0, atol=0)
    named = session.run_named({"x": x, "w": w, "b": b}, outputs=["z"])
    torch.testing.assert_close(named["z"], z, rtol=0, atol=0)


def test_arrays_come_back_as_arrays_and_both_kinds_mix():
    session = runtime.load(model(AFFINE), providers=[EXACT])
    x, w, b = operands()
    on_cpu = session(x.cpu().numpy(), w.cpu().numpy(), b.cpu().numpy())[0]
    assert type(on_cpu) is np.ndarray
    mixed = session(x, w.cpu().numpy(), b)[0]
    assert mixed.device.type == "cuda"
    np.testing.assert_allclose(mixed.cpu().numpy(), on_cpu, rtol=0, atol=0)


def test_inputs_that_are_still_being_computed_are_waited_for():
    session = runtime.load(model(AFFINE), providers=[EXACT])
    _, w, b = operands()
    for _ in range(10):
        big = torch.randn(4096, 4096, device="cuda")
        for _ in range(8):
            big = big @ big / 64
        x = torch.nan_to_num(big[:2, :3]).contiguous()
        torch.testing.assert_close(session(x, w, b)[0], expected(x, w, b), **CLOSE)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.int64, torch.bool])
def test_each_dtype_is_shared(dtype):
    name = {torch.float16: "float16", torch.bfloat16: "bfloat16", torch.int64: "int64"}
    text = f"g ({name.get(dtype, 'bool')}[n] x) => ({name.get(dtype, 'bool')}[n] y)"
    session = runtime.load(model(text + " { y = Identity(x) }"), providers=["cuda"])
    x = torch.arange(5, device="cuda").to(dtype)
    (y,) = session(x)
    assert y.dtype == dtype
    assert torch.equal(x, y)


def test_strides_are_seen_to_and_a_wrong_dtype_is_refused():
    session = runtime.load(model(AFFINE), providers=[EXACT])
    x, w, b = operands(3, 3)
    torch.testing.assert_close(session(x.T, w, b)[0], expected(x.T, w, b), **CLOSE)
    with pytest.raises(runtime.InputError, match="wrong dtype"):
        session(x.double(), w, b)
    with pytest.raises(runtime.InputError, match="wrong rank"):
        session(x[0], w, b)


def test_a_session_of_the_cpu_says_where_the_tensor_is():
    session = runtime.load(model(AFFINE))
    with pytest.raises(runtime.InputError, match="memory that the session does not read") as caught:
        session(*operands())
    assert caught.value.kind == "device"
    assert "cuda:0" in caught.value.found


def test_values_of_onnx_runtime_go_in_and_come_out():
    session = runtime.load(model(AFFINE), providers=[EXACT])
    import onnxruntime

    x, w, b = operands()
    values = [onnxruntime.OrtValue.from_dlpack(t) for t in (x, w, b)]
    y, _ = session(*values)
    assert isinstance(y, onnxruntime.OrtValue)
    torch.testing.assert_close(torch.from_dlpack(y), expected(x, w, b), **CLOSE)


@pytest.mark.parametrize("provider", [EXACT, GRAPHS], ids=["plain", "graph"])
def test_a_bound_call_replays_on_new_numbers(provider):
    session = runtime.load(model(AFFINE), providers=[provider])
    first, second = operands(2), operands(6)
    calls = [session.bind(*first), session.bind(*second)]
    for _ in range(3):
        for call, given in zip(calls, (first, second), strict=True):
            given[0].normal_()
            y, z = call()
            assert y is call.outputs["y"]
            torch.testing.assert_close(y, expected(*given), **CLOSE)
            torch.testing.assert_close(z, -y, rtol=0, atol=0)


@pytest.mark.parametrize("provider", [EXACT, GRAPHS], ids=["plain", "graph"])
def test_each_thread_may_make_a_bound_call(provider):
    session = runtime.load(model(AFFINE), providers=[provider])
    given = operands(3)
    call, wanted = session.bind(*given), expected(*given)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(call) for _ in range(40)]:
            torch.testing.assert_close(done.result()[0], wanted, **CLOSE)
        others = [pool.submit(session, *operands(5)) for _ in range(20)]
        assert all(len(other.result()) == 2 for other in others)
    torch.testing.assert_close(call()[0], wanted, **CLOSE)


def test_bound_arrays_are_read_at_every_call():
    session = runtime.load(model(AFFINE), providers=[EXACT])
    arrays = [x.cpu().numpy() for x in operands()]
    call = session.bind(*arrays)
    for _ in range(3):
        call.inputs["x"] += 1
        wanted = expected(*map(torch.from_numpy, arrays))
        np.testing.assert_allclose(call()[0], wanted, **CLOSE)


def test_what_a_kernel_reads_on_the_cpu_is_read_at_every_call():
    text = "g (float[n] x, int64[1] k) => (float[m] y, int64[m] i) { y, i = TopK(x, k) }"
    x, k = torch.arange(9.0, device="cuda"), torch.tensor([4], device="cuda")
    call = runtime.load(model(text), providers=[EXACT]).bind(x, k)
    assert call()[0].tolist() == [8, 7, 6, 5]
    k.fill_(2)
    with pytest.raises(runtime.RunError):
        call()  # two numbers do not fill the memory of four
    with pytest.raises(runtime.InputError, match="would keep the value") as caught:
        runtime.load(model(text), providers=[GRAPHS]).bind(x, k)
    assert caught.value.input == "k"


def test_replays_leave_other_tensors_alone():
    text = "g (float[n] x) => (float[n] y) { t = Neg(x) u = Abs(t) v = Exp(u) y = Neg(v) }"
    session = runtime.load(model(text), providers=[GRAPHS])
    call = session.bind(torch.ones(100_000, device="cuda"))
    call()
    kept = []
    for n in (90_000, 100_000, 150_000, 50_000):
        x = torch.full((n,), 2.0, device="cuda")
        kept += [session(x)[0], session.bind(x)()[0]]
    session.release_memory()
    for _ in range(3):
        (y,) = call()
        torch.testing.assert_close(y, torch.full_like(y, -math.e), **CLOSE)
    for y in kept:
        torch.testing.assert_close(y, torch.full_like(y, -math.exp(2)), **CLOSE)


def test_strings_and_sequences_come_back_in_cpu_memory():
    text = """g (float[n] x) => (string[n] s, float[n] y, seq(float) z)
        { y = Neg(x) s = Cast<to=8>(x) z = SequenceConstruct(x, y) }"""
    session = runtime.load(model(text), providers=["cuda"])
    s, y, z = session(torch.tensor([1.0, 2.0], device="cuda"))
    assert s.tolist() == ["1", "2"]
    assert y.tolist() == [-1, -2]
    assert [part.tolist() for part in z] == [[1, 2], [-1, -2]]


def test_a_session_with_graphs_runs_other_calls_too():
    session = runtime.load(model(AFFINE), providers=[GRAPHS])
    for batch in (2, 9):
        given = operands(batch)
        torch.testing.assert_close(session(*given)[0], expected(*given), **CLOSE)
        arrays = [x.cpu().numpy() for x in given]
        np.testing.assert_allclose(session(*arrays)[0], expected(*given).cpu(), **CLOSE)
    with pytest.raises(runtime.InputError, match="fixed memory of the device") as caught:
        session.bind(*arrays)
    assert caught.value.remedy == "session.bind(x.cuda())"


def test_a_model_that_cannot_be_captured_is_refused_with_the_reason():
    text = """g (float[n] x, int64 turns) => (float[n] y) <bool go = {1}> {
        y = Loop(turns, go, x) <body = body (int64 i, bool on, float[n] s) => (bool on2, float[n] t)
            { on2 = Identity(on) t = Add(s, s) }> }"""
    with pytest.raises(runtime.LoadError, match="refuses the model") as caught:
        runtime.load(model(text), providers=[GRAPHS])
    assert "graph" in caught.value.found.lower()


@pytest.mark.parametrize("options", [{}, {"gpu_mem_limit": 1 << 30}], ids=["device", "limit"])
def test_too_little_memory_is_an_error_and_a_smaller_call_runs(options):
    text = """g (float[n] x) => (float[n, n] y) <int64[1] one = {1}>
        { t = Unsqueeze(x, one) y = Mul(x, t) }"""
    session = runtime.load(model(text), providers=[("cuda", options)])
    with pytest.raises(runtime.OutOfMemoryError, match="not enough memory"):
        session(torch.ones(400_000, device="cuda"))
    with pytest.raises(runtime.OutOfMemoryError):
        session(np.ones(400_000, np.float32))
    assert session(torch.full((3,), 2.0, device="cuda"))[0].tolist() == [[4.0] * 3] * 3


def test_threads_share_a_session():
    session = runtime.load(model(AFFINE), providers=[EXACT])
    given = operands(64, 32)
    wanted = session(*given)[0].clone()
    failures = []

    def work():
        failures.extend(i for i in range(50) if not torch.equal(session(*given)[0], wanted))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
