"""Two clocks: a wall clock that is set changes no duration."""

import time

from streaming.moment import Moment, StoredMoment

HERE = "b1c9"


def test_now_reads_the_wall_clock_and_the_monotonic_clock() -> None:
    before = time.time(), time.monotonic()
    now = Moment.now()
    assert before[0] <= now.wall_s <= time.time()
    assert before[1] <= now.monotonic_s <= time.monotonic()


def test_an_age_on_one_machine_does_not_depend_on_the_wall_clock() -> None:
    for step_s in (-3600.0, 0.0, 3600.0):
        assert StoredMoment(1000.0, 50.0, HERE).age_s(StoredMoment(1007.0 + step_s, 57.0, HERE)) == 7.0


def test_an_age_across_a_start_of_the_machine_is_the_wall_clocks() -> None:
    stored = StoredMoment(1000.0, 5000.0, HERE)
    assert stored.age_s(StoredMoment(1090.0, 20.0, "another")) == 90.0
    assert stored.age_s(StoredMoment(900.0, 20.0, "another")) == 0.0
    assert StoredMoment(0.0, 9.0, "").age_s(StoredMoment(3.0, 1.0, "")) == 3.0, "a system without boot ids"


def test_two_readings_on_this_machine_can_be_compared() -> None:
    first, second = StoredMoment.now(), StoredMoment.now()
    assert first.boot_id == second.boot_id
    assert 0.0 <= first.age_s(second) < 60.0


def test_another_moments_wall_time_is_by_the_clock_as_it_is_set_now() -> None:
    assert Moment(5000.0, 70.0).wall_of(67.5) == 4997.5
