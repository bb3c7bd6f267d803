"""CPU time and resident memory of this process and its descendants, by role in the service. Linux only."""

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
"Roles by the beginning of the program's name (without folders), or of the title that Ray sets."
OWN: Final = "gateway, publisher and reader"
RAY: Final = "ray"
OTHERS: Final = "other programs"


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU time used since the machine or the process started, seconds."""

    at_s: float
    "Monotonic clock."
    busy_s: float
    "Of the whole machine, all cores."
    by_role: dict[str, float]


def read_usage() -> Usage:
    """Read the CPU time used so far. All zero without /proc."""
    by_role: dict[str, float] = defaultdict(float)
    for pid in _with_descendants(os.getpid()):
        used_s = _used_s(pid)
        if used_s is not None:
            by_role[_role(pid)] += used_s
    return Usage(time.monotonic(), _busy_s(), dict(by_role))


def cores_between(before: Usage, after: Usage) -> dict[str, float]:
    """Return the mean number of busy cores by role, largest first; other programs, `OTHERS`, come last."""
    span_s = max(after.at_s - before.at_s, 1e-9)
    # The CPU time of a process that ended in between is lost, so a role's sum may fall.
    used = {role: max(0.0, now - before.by_role.get(role, 0.0)) for role, now in after.by_role.items()}
    used[OTHERS] = max(0.0, after.busy_s - before.busy_s - sum(used.values()))
    ours_first = sorted(used, key=lambda role: (role == OTHERS, -used[role]))
    return {role: round(used[role] / span_s, 3) for role in ours_first}


def resident_bytes() -> dict[str, int]:
    """Return the resident memory by role, mapped files included. Empty without /proc."""
    by_role: dict[str, int] = defaultdict(int)
    for pid in _with_descendants(os.getpid()):
        by_role[_role(pid)] += _resident_bytes(pid)
    return dict(by_role)


def _with_descendants(pid: int) -> Iterator[int]:
    """Yield the process and all its descendants."""
    children: dict[int, list[int]] = defaultdict(list)
    for folder in _PROC.glob("[0-9]*"):
        fields = _stat(int(folder.name))
        if fields:
            children[int(fields[1])].append(int(folder.name))
    waiting = [pid]
    while waiting:
        current = waiting.pop()
        yield current
        waiting += children[current]


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
    """Return the time in user and system mode; None where the process has ended."""
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S if fields else None


def _resident_bytes(pid: int) -> int:
    """Return 0 where the process has ended (proc(5), /proc/pid/statm)."""
    try:
        return int((_PROC / str(pid) / "statm").read_text().split()[1]) * _PAGE_BYTES
    except OSError:
        return 0


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/pid/stat from field 3, the state, on (proc(5)); empty where it has ended."""
    try:
        text = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return []
    # Field 2, the name, is in brackets and may contain spaces and brackets.
    return text[text.rindex(")") + 2 :].split()


def _busy_s() -> float:
    """Return user, nice, system, interrupt and stolen time of all cores (proc(5), /proc/stat)."""
    try:
        line = (_PROC / "stat").read_text().partition("\n")[0]
    except OSError:
        return 0.0
    user, nice, system, _idle, _wait, hard, soft, stolen = (int(part) for part in line.split()[1:9])
    return (user + nice + system + hard + soft + stolen) / _TICKS_PER_S
