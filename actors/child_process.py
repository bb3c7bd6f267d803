"""A server as a child process that ignores the terminal's Ctrl-C and ends with this process, even if
killed."""

from __future__ import annotations

import ctypes
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

_PR_SET_PDEATHSIG: Final = 1


class Child:
    """A running child process.

    Linux sends the child SIGTERM when the *thread* that forked it ends (prctl(2), PR_SET_PDEATHSIG), so each
    child has a thread that forks it and then waits for it. The child leads a session of its own: a Ctrl-C in
    the terminal is sent to this process only, which stops its children in order.
    """

    def __init__(self, command: Sequence[str], *, log_path: Path, pass_fds: Sequence[int] = ()) -> None:
        """Start `command`; its output goes to `log_path`, which is truncated. Raises OSError.

        `pass_fds`: file descriptors that the child inherits, for instance of a lock.
        """
        started: queue.SimpleQueue[subprocess.Popen[bytes] | OSError] = queue.SimpleQueue()
        self._waiter = threading.Thread(
            target=_fork_and_wait,
            args=(list(command), log_path, pass_fds, started),
            name="child-waiter",
            daemon=True,
        )
        self._waiter.start()
        process = started.get()
        if isinstance(process, OSError):
            raise process
        self._process = process

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """Exit code; None while it runs, negative if a signal ended it."""
        return self._process.poll()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Send SIGTERM, SIGKILL after `timeout_s`; return when the process has ended."""
        self._process.terminate()
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._waiter.join()


def _fork_and_wait(
    command: list[str],
    log_path: Path,
    pass_fds: Sequence[int],
    started: queue.SimpleQueue[subprocess.Popen[bytes] | OSError],
) -> None:
    try:
        with log_path.open("wb") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=pass_fds,
                preexec_fn=_end_with_parent(),
            )
    except OSError as exc:
        started.put(exc)
        return
    started.put(process)
    process.wait()


def _end_with_parent() -> Callable[[], None] | None:
    """Return what the child does between fork and exec. Libraries are loaded before the fork."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def set_death_signal() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return set_death_signal
