"""Families of processes, as /proc knows them."""

from __future__ import annotations

from pathlib import Path


def children_of(pid: int) -> list[int]:
    """Children of every thread of a process."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except FileNotFoundError:
        return []


def descendants_of(pid: int) -> list[int]:
    """Children, their children, and so on."""
    direct = children_of(pid)
    return direct + [one for child in direct for one in descendants_of(child)]


def command_of(pid: int) -> str:
    """Its command line; empty if it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except FileNotFoundError:
        return ""


def is_running(pid: int) -> bool:
    """Whether it lives: a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def named(title: str, ancestor: int) -> list[int]:
    """Descendants whose command line begins so, or runs a program of that name."""
    return [
        pid
        for pid in descendants_of(ancestor)
        if command_of(pid).startswith(title) or Path(command_of(pid).split(" ")[0]).name.startswith(title)
    ]
