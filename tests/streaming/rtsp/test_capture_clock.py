import itertools
import struct

import pytest

from streaming.rtsp.capture_clock import (
    MAX_AGE_S,
    MAX_REPORT_S,
    NTP_EPOCH_S,
    REPORTS,
    WINDOW_S,
    CaptureClock,
    is_rtcp,
)
from streaming.vocabulary import Clock

RATE = 90_000
START_S = 1_795_225_300.0


def report(time_s, timestamp):
    """An RTCP sender report of this Unix time."""
    ntp_s = time_s + NTP_EPOCH_S
    return struct.pack("!BBHLLLLLL", 0x80, 200, 6, 1, int(ntp_s), int(ntp_s % 1 * 2**32), timestamp, 0, 0)


def test_a_sender_report_dates_images_by_the_cameras_clock():
    clock = CaptureClock(RATE)
    clock.add_report(report(START_S, 1_000), START_S + 0.004)
    captured_s, by = clock.date(1_000 + RATE // 2, START_S + 0.62)
    assert by is Clock.RTCP
    assert captured_s == pytest.approx(START_S + 0.5, abs=1e-6)


def test_timestamps_wrap_around_between_report_and_image():
    clock = CaptureClock(RATE)
    clock.add_report(report(START_S, 2**32 - RATE), START_S)
    for timestamp in (RATE, RATE + 2**32):  # as sent, and as the depacketizer unwraps it
        assert clock.date(timestamp, START_S + 2.1)[0] == pytest.approx(START_S + 2.0, abs=1e-6)


@pytest.mark.parametrize("ahead_s", [-3_600.0, -0.1, 2 * MAX_REPORT_S, 3_600.0, -START_S])
def test_a_clock_that_is_not_sane_is_not_used(ahead_s):
    clock = CaptureClock(RATE)
    clock.add_report(report(START_S + ahead_s, 0), START_S)
    assert clock.date(0, START_S + 0.1) == (START_S + 0.1, Clock.ARRIVAL)


def test_a_clock_that_jumps_is_left_for_arrival():
    clock = CaptureClock(RATE)
    clock.add_report(report(START_S, 0), START_S)
    clock.add_report(report(START_S - 60, 5 * RATE), START_S + 5)
    assert clock.date(5 * RATE, START_S + 5.01)[1] is Clock.ARRIVAL


def test_no_image_is_captured_after_its_arrival():
    clock = CaptureClock(RATE)
    clock.add_report(report(START_S + 0.02, 0), START_S)
    assert clock.date(0, START_S) == (START_S, Clock.RTCP)


def test_an_image_that_waited_is_as_old_as_the_timestamps_say():
    clock = CaptureClock(RATE)
    assert clock.date(0, START_S) == (START_S, Clock.ARRIVAL)
    late_s, _ = clock.date(RATE, START_S + 2.5)
    assert late_s == pytest.approx(START_S + 1.0)


def test_a_drifting_clock_is_not_taken_for_age():
    """A camera whose clock is slow by 1e-4: after an hour, frames are still dated by their arrival."""
    clock = CaptureClock(RATE)
    for second in range(3_600):
        arrived_s = START_S + second
        captured_s, _ = clock.date(round(second * (1 - 1e-4) * RATE), arrived_s)
        assert captured_s == pytest.approx(arrived_s, abs=1e-3)


@pytest.mark.parametrize("drift", [1e-4, -1e-4])
def test_a_camera_clock_that_drifts_away_is_left_for_arrival(drift):
    """A camera without NTP that was right at first: slow or fast by 1e-4, a report every five seconds."""
    clock = CaptureClock(RATE)
    used = []
    for second in range(3_600):
        arrived_s, passed_s = START_S + second, second * (1 - drift)
        if second % 5 == 0:
            clock.add_report(report(START_S + passed_s, round(passed_s * RATE)), arrived_s)
        captured_s, by = clock.date(round(passed_s * RATE), arrived_s)
        assert captured_s == pytest.approx(arrived_s, abs=MAX_REPORT_S + 0.01)
        used.append(by)
    changes = [by for by, _ in itertools.groupby(used)]
    assert changes == [Clock.RTCP, Clock.ARRIVAL]


def test_a_camera_clock_that_is_set_right_is_used_again():
    clock = CaptureClock(RATE)
    for index in range(REPORTS + 1):
        ahead_s = 3_600.0 if index == 0 else 0.0
        clock.add_report(report(START_S + 5 * index + ahead_s, 5 * index * RATE), START_S + 5 * index)
    assert clock.date(5 * REPORTS * RATE, START_S + 5 * REPORTS)[1] is Clock.RTCP


def test_timestamps_that_are_too_slow_are_taken_for_age_within_bounds():
    """At night: 20 images a second that are stamped as 25."""
    clock = CaptureClock(RATE)
    for index in range(2_000):
        arrived_s = START_S + index / 20
        assert arrived_s - clock.date(index * 3_600, arrived_s)[0] <= 0.2 * WINDOW_S + 0.05
    assert len(clock._min_offsets) < 100


def test_timestamps_that_jump_start_anew():
    clock = CaptureClock(RATE)
    clock.date(100 * RATE, START_S)
    later_s = START_S + MAX_AGE_S + 1
    assert clock.date(100 * RATE, later_s) == (later_s, Clock.ARRIVAL)
    assert clock.date(0, later_s) == (later_s, Clock.ARRIVAL)
    assert clock.date(2**40, later_s) == (later_s, Clock.ARRIVAL)


@pytest.mark.parametrize("packet", [b"", b"\x80", report(START_S, 0)[:19], b"\x80\xc9" + bytes(30)])
def test_other_packets_are_passed_over(packet):
    clock = CaptureClock(RATE)
    clock.add_report(packet, START_S)
    assert clock.date(0, START_S)[1] is Clock.ARRIVAL


def test_rtcp_is_told_from_rtp_by_its_type():
    assert is_rtcp(report(START_S, 0))
    assert not is_rtcp(b"\x80\xe0")
    assert not is_rtcp(b"\x80\x60")
    assert not is_rtcp(b"")
