"""Which CPUs add int8 products in 16 bits."""

from __future__ import annotations

from pathlib import Path

import pytest

from engines.backends.cpu import saturates_int8


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
