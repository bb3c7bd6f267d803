import sys

import pytest

from lab.benchmarks.hostile_camera import run_hostile_camera
from streaming.vocabulary import SourceState

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc")


def test_a_run_reports_what_was_live_and_what_it_took():
    states = []
    report = run_hostile_camera(3.0, 1, lambda status: states.append(status.state))
    assert states[:2] == [SourceState.STARTING, SourceState.LIVE]
    assert states[-1] is SourceState.ENDED
    assert report.live > 0.5
    assert report.frames > 10
    assert report.reader == "native"
    assert report.at_end.descriptors <= report.after_warm_up.descriptors + 4
    assert report.at_end.resident_bytes > 10_000_000
