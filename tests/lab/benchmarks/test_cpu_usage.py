"""Who used the processor."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
import time

import pytest

from lab.benchmarks.cpu_usage import OTHERS, OWN, RAY, Usage, cores_between, look, resident

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc")

BURN = "import time\nend = time.process_time() + 30\nwhile time.process_time() < end: pass"


def test_cores_are_seconds_of_work_per_second() -> None:
    before = Usage(100.0, 50.0, {"worker": 3.0, "redis": 1.0})
    after = Usage(110.0, 68.0, {"worker": 12.0, "redis": 1.5, "grounder": 2.0})
    assert cores_between(before, after) == {"worker": 0.9, "grounder": 0.2, "redis": 0.05, OTHERS: 0.65}


def test_parts_are_named_by_how_much_they_did_and_the_others_come_last() -> None:
    before, after = Usage(0.0, 0.0, {"a": 0.0, "b": 0.0}), Usage(1.0, 9.0, {"a": 0.1, "b": 0.4})
    assert list(cores_between(before, after)) == ["b", "a", OTHERS]


def test_what_ended_meanwhile_is_nobodys_debt() -> None:
    before, after = Usage(0.0, 0.0, {"a": 5.0, "b": 1.0}), Usage(1.0, 2.0, {"a": 0.5, "b": 1.5})
    assert cores_between(before, after) == {"b": 0.5, "a": 0.0, OTHERS: 1.5}


def test_this_process_and_its_children_are_ours() -> None:
    child = subprocess.Popen([sys.executable, "-c", BURN])
    try:
        before = look()
        while look().by_role.get(RAY, 0.0) - before.by_role.get(RAY, 0.0) < 0.2:
            time.sleep(0.01)
        after = look()
    finally:
        child.kill()
        child.wait()
    assert after.busy_s - before.busy_s >= 0.2, "the machine did at least what the child did"
    assert after.by_role[OWN] >= before.by_role[OWN] > 0


def test_a_program_is_known_by_its_name() -> None:
    copy = ["bash", "-c", f"exec -a /opt/go2rtc {sys.executable} -c 'import time; time.sleep(60)'"]
    child = subprocess.Popen(copy)
    try:
        deadline_s = time.monotonic() + 20
        while "rtsp server" not in look().by_role:
            assert time.monotonic() < deadline_s
            time.sleep(0.01)
    finally:
        child.kill()
        child.wait()


def test_memory_is_told_by_part() -> None:
    before = resident()[OWN]
    # From the kernel: an allocator may have had as much to spare.
    with mmap.mmap(-1, 64 << 20) as held:
        held.write(os.urandom(1) * len(held))
        assert resident()[OWN] - before > len(held) / 2
