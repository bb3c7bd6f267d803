"""CPU time and resident memory by role."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
import time

import pytest

from lab.benchmarks.process_usage import OTHERS, OWN, RAY, Usage, cores_between, read_usage, resident_bytes

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc")

BURN = "import time\nend = time.process_time() + 30\nwhile time.process_time() < end: pass"


def test_busy_cores_are_cpu_seconds_per_second() -> None:
    before = Usage(100.0, 50.0, {"worker": 3.0, "redis": 1.0})
    after = Usage(110.0, 68.0, {"worker": 12.0, "redis": 1.5, "grounder": 2.0})
    assert cores_between(before, after) == {"worker": 0.9, "grounder": 0.2, "redis": 0.05, OTHERS: 0.65}


def test_roles_are_sorted_by_use_and_other_programs_come_last() -> None:
    before, after = Usage(0.0, 0.0, {"a": 0.0, "b": 0.0}), Usage(1.0, 9.0, {"a": 0.1, "b": 0.4})
    assert list(cores_between(before, after)) == ["b", "a", OTHERS]


def test_a_process_that_ended_in_between_counts_as_zero() -> None:
    before, after = Usage(0.0, 0.0, {"a": 5.0, "b": 1.0}), Usage(1.0, 2.0, {"a": 0.5, "b": 1.5})
    assert cores_between(before, after) == {"b": 0.5, "a": 0.0, OTHERS: 1.5}


def test_this_process_and_its_children_are_counted() -> None:
    child = subprocess.Popen([sys.executable, "-c", BURN])
    try:
        before = read_usage()
        while read_usage().by_role.get(RAY, 0.0) - before.by_role.get(RAY, 0.0) < 0.2:
            time.sleep(0.01)
        after = read_usage()
    finally:
        child.kill()
        child.wait()
    assert after.busy_s - before.busy_s >= 0.2, "the machine did at least what the child did"
    assert after.by_role[OWN] >= before.by_role[OWN] > 0


def test_a_role_follows_from_the_programs_name() -> None:
    copy = ["bash", "-c", f"exec -a /opt/go2rtc {sys.executable} -c 'import time; time.sleep(60)'"]
    child = subprocess.Popen(copy)
    try:
        deadline_s = time.monotonic() + 20
        while "rtsp server" not in read_usage().by_role:
            assert time.monotonic() < deadline_s
            time.sleep(0.01)
    finally:
        child.kill()
        child.wait()


def test_resident_memory_is_reported_by_role() -> None:
    before = resident_bytes()[OWN]
    # mmap, since an allocator may reuse memory that is resident already.
    with mmap.mmap(-1, 64 << 20) as held:
        held.write(os.urandom(1) * len(held))
        assert resident_bytes()[OWN] - before > len(held) / 2
