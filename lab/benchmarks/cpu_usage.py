"""Which process used how much of the processor between two moments, everybody else's included, and how much
memory each has. Linux alone.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")

ROLES: Final = (
    ("ray::Worker", "worker"),
    ("ray::GrounderActor", "grounder"),
    ("go2rtc", "rtsp server"),
    ("valkey", "redis"),
    ("redis", "redis"),
)
"What a process is, by how its command line begins (its program's name, without folders)."
OWN: Final = "gateway, publisher and reader"
RAY: Final = "ray"
OTHERS: Final = "other programs"


@dataclass(frozen=True, slots=True)
class Usage:
    """Processor time used since the machine or a process began, seconds."""

    at_s: float
    "Monotonic."
    busy_s: float
    "The whole machine."
    by_role: dict[str, float]


def look() -> Usage:
    """What this process, its descendants and the machine have used until now; nothing where /proc is not."""
    by_role: dict[str, float] = defaultdict(float)
    for pid in _family(os.getpid()):
        used = _used_s(pid)
        if used is not None:
            by_role[_role(pid)] += used
    return Usage(time.monotonic(), _busy_s(), dict(by_role))


def cores_between(before: Usage, after: Usage) -> dict[str, float]:
    """Mean number of cores that each role kept busy, most first; what nobody of ours used is the others'."""
    span_s = max(after.at_s - before.at_s, 1e-9)
    # What a process used that has ended meanwhile is not known any more.
    used = {role: max(0.0, now - before.by_role.get(role, 0.0)) for role, now in after.by_role.items()}
    used[OTHERS] = max(0.0, after.busy_s - before.busy_s - sum(used.values()))
    ours_first = sorted(used, key=lambda role: (role == OTHERS, -used[role]))
    return {role: round(used[role] / span_s, 3) for role in ours_first}


def resident() -> dict[str, int]:
    """Bytes of memory that each role holds now, pages of its files included; nothing where /proc is not."""
    by_role: dict[str, int] = defaultdict(int)
    for pid in _family(os.getpid()):
        by_role[_role(pid)] += _resident_bytes(pid)
    return dict(by_role)


def _family(pid: int) -> Iterator[int]:
    """The process and all that descend from it."""
    children: dict[int, list[int]] = defaultdict(list)
    for folder in _PROC.glob("[0-9]*"):
        fields = _stat(int(folder.name))
        if fields:
            children[int(fields[1])].append(int(folder.name))
    waiting = [pid]
    while waiting:
        one = waiting.pop()
        yield one
        waiting += children[one]


def _role(pid: int) -> str:
    if pid == os.getpid():
        return OWN
    try:
        command = (_PROC / str(pid) / "cmdline").read_bytes().split(b"\0")[0].decode(errors="replace")
    except OSError:
        command = ""
    program = command if command.startswith("ray::") else Path(command).name
    return next((role for start, role in ROLES if program.startswith(start)), RAY)


def _used_s(pid: int) -> float | None:
    """Time in user and system mode; None where the process is gone."""
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S if fields else None


def _resident_bytes(pid: int) -> int:
    """0 where the process is gone (proc(5), /proc/pid/statm)."""
    try:
        return int((_PROC / str(pid) / "statm").read_text().split()[1]) * _PAGE_BYTES
    except OSError:
        return 0


def _stat(pid: int) -> list[str]:
    """Fields of /proc/pid/stat from the state on (proc(5), field 3); empty where the process is gone."""
    try:
        text = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return []
    # The name before them is in brackets and may hold anything.
    return text[text.rindex(")") + 2 :].split()


def _busy_s() -> float:
    """User, nice, system, interrupts and what the hypervisor took, of all cores (proc(5), /proc/stat)."""
    try:
        line = (_PROC / "stat").read_text().partition("\n")[0]
    except OSError:
        return 0.0
    user, nice, system, _idle, _wait, hard, soft, stolen = (int(part) for part in line.split()[1:9])
    return (user + nice + system + hard + soft + stolen) / _TICKS_PER_S
