"""The fingerprint of a machine: read from the system's files, compared field by field."""

import json

import pytest

from sardonyx.runtime import machine as module
from sardonyx.runtime.machine import digest, machine

X86 = """processor\t: 0
vendor_id\t: GenuineIntel
cpu family\t: 6
model\t\t: 143
model name\t: Intel(R) Xeon(R) Platinum
stepping\t: 8
microcode\t: 0x2b
cpu MHz\t\t: 2000.000
flags\t\t: fpu tsc avx2 avx512f amx_bf16 fma constant_tsc
"""
ARM = """processor\t: 0
BogoMIPS\t: 243.75
Features\t: fp asimd sve i8mm evtstrm
CPU implementer\t: 0x41
CPU part\t: 0xd40
"""


@pytest.mark.parametrize(
    ("text", "cpu", "features"),
    [
        (
            X86,
            "GenuineIntel, family 6, model 143, stepping 8, Intel(R) Xeon(R) Platinum",
            ("amx_bf16", "avx2", "avx512f", "fma"),
        ),
        (ARM, "implementer 0x41, part 0xd40", ("asimd", "i8mm", "sve")),
    ],
)
def test_cpu_of_cpuinfo(text, cpu, features, tmp_path, monkeypatch):
    second = text.replace(": 0\n", ": 1\n", 1).replace("143", "1")
    (tmp_path / "cpuinfo").write_text(f"{text}\n{second}")
    monkeypatch.setattr(module, "CPUINFO", tmp_path / "cpuinfo")
    found = machine()
    assert found.cpu.endswith(cpu)
    assert found.features == features


def test_devices_of_the_driver_s_files(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "NVIDIA", tmp_path)
    assert machine().devices == ()
    (tmp_path / "gpus" / "0000:01").mkdir(parents=True)
    (tmp_path / "gpus" / "0000:01" / "information").write_text("Model: \t NVIDIA H100\nIRQ: 5\n")
    (tmp_path / "version").write_text("NVRM version: NVIDIA Kernel Module  580.65.06  Sun\n")
    assert machine().devices == ("NVIDIA H100, driver 580.65.06",)


def test_the_same_machine_is_the_same_after_json():
    here = machine()
    assert here == machine()
    assert here.as_dict() == json.loads(json.dumps(here.as_dict()))


def test_a_digest_depends_on_every_part():
    same = digest({"b": 1, "a": 2}, "x")
    assert same == digest({"a": 2, "b": 1}, "x")
    assert len({same, digest({"a": 2, "b": 1}, "y"), digest({"a": 2, "b": 3}, "x")}) == 3
