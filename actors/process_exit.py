"""Notices at once that another process on this machine has ended. Ray takes seconds to tell."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final

from streaming.moment import StoredMoment

_PID_NAMESPACE: Final = Path("/proc/self/ns/pid")


@cache
def pid_namespace() -> str:
    """Return a name of the processes among which this one's pid is unique; empty where that is not known."""
    try:
        return f"{StoredMoment.now().boot_id} {_PID_NAMESPACE.readlink()}"
    except OSError:
        return ""


class ExitWatch:
    """Calls back when the process it follows ends. Belongs to one asyncio loop."""

    def __init__(self, on_exit: Callable[[], None]) -> None:
        self._on_exit = on_exit
        self._pid: int | None = None
        self._file: int | None = None

    def follow(self, pid: int, namespace: str) -> None:
        """Follow this process instead; none if it is on another machine, has ended, or cannot be followed."""
        if pid == self._pid:
            return
        self.close()
        self._pid = pid
        if not namespace or namespace != pid_namespace():
            return
        try:
            self._file = os.pidfd_open(pid)
        except OSError:
            return
        asyncio.get_running_loop().add_reader(self._file, self._ended)

    def close(self) -> None:
        """Follow no process."""
        if self._file is not None:
            asyncio.get_running_loop().remove_reader(self._file)
            os.close(self._file)
        self._pid = self._file = None

    def _ended(self) -> None:
        self.close()
        self._on_exit()
