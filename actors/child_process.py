"""A server of ours as a child process: quiet on Ctrl-C, gone when we are gone, even when we are killed."""

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
    the terminal reaches us alone, and we stop it in our order.
    """

    def __init__(self, command: Sequence[str], *, log_path: Path, pass_fds: Sequence[int] = ()) -> None:
        """Start `command`; its output goes to `log_path`, which is emptied. Raises OSError.

        `pass_fds`: open files the child keeps open as long as it lives, for instance a lock.
        """
        started: queue.SimpleQueue[subprocess.Popen[bytes] | OSError] = queue.SimpleQueue()
        self._keeper = threading.Thread(
            target=_keep, args=(list(command), log_path, pass_fds, started), name="keeper", daemon=True
        )
        self._keeper.start()
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
        """None while it runs; negative: the signal that ended it."""
        return self._process.poll()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Ask it to end, kill it after `timeout_s`; returns when it is gone, at once if it is already."""
        self._process.terminate()
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._keeper.join()


def _keep(
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
                preexec_fn=_die_with_parent(),
            )
    except OSError as exc:
        started.put(exc)
        return
    started.put(process)
    process.wait()


def _die_with_parent() -> Callable[[], None] | None:
    """What the child does between fork and exec: looked up before the fork, little to do after it."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def tie() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return tie
