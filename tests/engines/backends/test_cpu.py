"""Which CPUs add int8 products in 16 bits."""

from __future__ import annotations

from pathlib import Path

import pytest

from engines.backends.cpu import cpu_digest, saturates_int8


@pytest.mark.parametrize(
    ("flags", "saturates"),
    [
        ("flags : fma avx2", True),
        ("flags : avx2 avx512f avx512_vnni", False),
        ("flags : avx2 avx_vnni", False),
        ("Features : asimd asimddp", False),
    ],
)
def test_x86_without_vnni_saturates(flags: str, saturates: bool, tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(flags)
    assert saturates_int8(tmp_path / "cpuinfo") is saturates


def test_a_system_without_cpuinfo_does_not_saturate(tmp_path: Path) -> None:
    assert not saturates_int8(tmp_path / "cpuinfo")


def test_a_cpu_is_told_by_its_instructions_and_not_by_its_clock(tmp_path: Path) -> None:
    def digest(flags: str, mhz: str) -> str:
        info = tmp_path / "cpuinfo"
        processor = f"model name : Some CPU\ncpu MHz : {mhz}\nflags : {flags}\n\n"
        info.write_text(2 * processor)
        return cpu_digest(info)

    assert digest("avx2", "2100.0") == digest("avx2", "2700.0") != digest("avx2 amx_bf16", "2100.0")
    assert len(cpu_digest(tmp_path / "absent")) == 12
