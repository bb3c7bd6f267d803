"""What the CPU of this machine can compute, as far as precision depends on it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

CPU_INFO: Final = Path("/proc/cpuinfo")


def saturates_int8(cpu_info: Path = CPU_INFO) -> bool:
    """Return whether int8 products overflow their 16-bit sums here: x86 with AVX2 and without VNNI.

    cpu_info: Linux' description of the CPU; where there is none, the CPU is taken to be free of this.
    """
    flags = cpu_info.read_text() if cpu_info.is_file() else ""
    return "avx2" in flags and "vnni" not in flags


def cpu_digest(cpu_info: Path = CPU_INFO) -> str:
    """Return 12 hex digits of this machine's CPU: its model and instructions; of Linux' description."""
    lines = cpu_info.read_text().splitlines() if cpu_info.is_file() else []
    kind = sorted({line for line in lines if line.startswith(("vendor_id", "model", "stepping", "flags"))})
    return hashlib.sha256("\n".join(kind).encode()).hexdigest()[:12]
