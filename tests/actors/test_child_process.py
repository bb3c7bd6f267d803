"""Start, stop and end of child processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from actors.child_process import Child

SLEEPER = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]
# Processes that a shell starts in the background ignore SIGINT; the handler is set to its default.
PARENT = """
import signal, sys, time
from pathlib import Path
from actors.child_process import Child
signal.signal(signal.SIGINT, signal.default_int_handler)
child = Child([sys.executable, "-c", "import time; time.sleep(60)"], log_path=Path(sys.argv[1]))
print(child.pid, flush=True)
time.sleep(60)
"""


def is_alive(pid: int) -> bool:
    """Return whether the process runs; False for a zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def has_ended(pid: int, within_s: float = 5.0) -> bool:
    deadline_s = time.monotonic() + within_s
    while is_alive(pid):
        if time.monotonic() > deadline_s:
            return False
        time.sleep(0.01)
    return True


def test_a_child_runs_until_it_is_stopped(tmp_path: Path) -> None:
    child = Child(SLEEPER, log_path=tmp_path / "log")
    assert child.exit_code is None
    child.stop()
    assert child.exit_code == -signal.SIGTERM
    child.stop()


def test_output_and_errors_are_in_the_log(tmp_path: Path) -> None:
    child = Child(
        [sys.executable, "-c", "import sys; print('out'); print('err', file=sys.stderr)"],
        log_path=tmp_path / "log",
    )
    assert has_ended(child.pid)
    child.stop()
    assert child.exit_code == 0
    assert sorted((tmp_path / "log").read_text().split()) == ["err", "out"]


def test_a_child_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    ignoring = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEPER[-1]
    log = tmp_path / "log"
    child = Child([sys.executable, "-c", ignoring], log_path=log)
    while "up" not in log.read_text():
        time.sleep(0.01)
    child.stop(timeout_s=0.1)
    assert child.exit_code == -signal.SIGKILL


def test_a_missing_program_raises(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Child([str(tmp_path / "nothing")], log_path=tmp_path / "log")


def test_a_child_outlives_the_thread_that_started_it(tmp_path: Path) -> None:
    children: list[Child] = []
    thread = threading.Thread(target=lambda: children.append(Child(SLEEPER, log_path=tmp_path / "log")))
    thread.start()
    thread.join()
    assert not has_ended(children[0].pid, within_s=0.3)
    children[0].stop()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has PR_SET_PDEATHSIG")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_child_ends_with_a_parent_that_is_killed(tmp_path: Path, how: signal.Signals) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path / "log")],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert parent.stdout is not None
    with parent:
        child_pid = int(parent.stdout.readline())
        assert is_alive(child_pid)
        parent.send_signal(how)
        parent.wait()
    assert has_ended(child_pid)


def test_a_child_has_a_process_group_of_its_own(tmp_path: Path) -> None:
    child = Child(SLEEPER, log_path=tmp_path / "log")
    assert os.getpgid(child.pid) != os.getpgid(0)
    child.stop()
