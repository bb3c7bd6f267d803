"""Finds processes in /proc by ancestor and command line."""

from __future__ import annotations

from pathlib import Path


def children_of(pid: int) -> list[int]:
    """Return the child processes of a process, of all its threads."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except FileNotFoundError:
        return []


def descendants_of(pid: int) -> list[int]:
    """Return all descendants of a process."""
    direct = children_of(pid)
    return direct + [pid for child in direct for pid in descendants_of(child)]


def command_of(pid: int) -> str:
    """Return the command line of a process; empty if it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except FileNotFoundError:
        return ""


def is_running(pid: int) -> bool:
    """Return whether a process exists and is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def named(title: str, ancestor: int) -> list[int]:
    """Return descendants of `ancestor` whose command line or program name starts with `title`."""
    return [
        pid
        for pid in descendants_of(ancestor)
        if command_of(pid).startswith(title) or Path(command_of(pid).split(" ")[0]).name.startswith(title)
    ]
