"""The rules of the monitor, with a clock that the test sets."""

from __future__ import annotations

from dataclasses import replace

import pytest

from actors.actor_health import Action, ActorHealth, MonitorTimes
from actors.heartbeat import StepTiming
from streaming.vocabulary import StreamId

TIMES = MonitorTimes()
S = StreamId("s")
IDLE = {S: StepTiming(0.0, 0.02)}


def alive(times: MonitorTimes = TIMES) -> ActorHealth:
    health = ActorHealth(times, 0.0)
    assert health.on_heartbeat(1, {}, 0.0) is Action.NOTHING
    health.on_updated()
    return health


def silence(health: ActorHealth, from_s: float, until_s: float) -> tuple[Action, float]:
    """Rounds without a heartbeat, each as long as the rules say; the first action, or none by `until_s`."""
    now_s = from_s
    while now_s < until_s:
        now_s += health.timeout_s
        action = health.on_silence("It did not answer.", now_s)
        if action is not Action.NOTHING:
            return action, now_s
        now_s += health.pause_s
    return Action.NOTHING, now_s


def test_an_actor_is_starting_until_it_is_up_to_date() -> None:
    health = ActorHealth(TIMES, 0.0)
    health.on_heartbeat(1, {}, 1.0)
    assert health.problem == "It is starting."
    health.on_updated()
    assert health.problem == ""


def test_a_silent_actor_is_asked_quickly_first_and_is_no_problem_yet() -> None:
    health = alive()
    assert health.pause_s == TIMES.round_s
    health.on_silence("It did not answer.", 1.0)
    assert (health.problem, health.pause_s, health.timeout_s) == (
        "",
        TIMES.quick_round_s,
        TIMES.quick_timeout_s,
    )
    silence(health, 1.0, 4.0)
    assert (health.problem, health.pause_s, health.timeout_s) == (
        "It did not answer.",
        TIMES.round_s,
        TIMES.heartbeat_timeout_s,
    )


def test_a_silent_actor_is_killed_after_hang_s() -> None:
    action, at_s = silence(alive(), 0.0, 60.0)
    assert action is Action.KILL
    assert TIMES.hang_s < at_s < TIMES.hang_s + 4.0


def test_a_starting_actor_is_killed_after_start_timeout_s() -> None:
    action, at_s = silence(ActorHealth(TIMES, 0.0), 0.0, 300.0)
    assert action is Action.KILL
    assert at_s > TIMES.start_timeout_s


def test_a_dead_actor_is_starting_and_a_new_pid_is_a_restart() -> None:
    health = alive()
    assert health.on_death(1.0) is Action.REPLACE
    assert health.problem == "It is starting."
    health.on_heartbeat(2, {}, 2.0)
    health.on_updated()
    assert (health.restarts, health.problem) == (1, "")


def test_the_time_a_monitor_was_late_is_not_silence() -> None:
    health = alive()
    for round_ in range(1, 4):
        assert health.on_silence("It did not answer.", 100.0 * round_) is Action.NOTHING
    assert health.problem == ""
    assert health.silent_s <= 2 * (TIMES.quick_timeout_s + TIMES.quick_round_s)


def test_an_actor_that_says_it_hangs_is_killed() -> None:
    health = alive()
    assert health.on_hang("The model hangs.", 1.0) is Action.KILL
    assert health.problem == "The model hangs."


def test_an_actor_that_never_started_is_given_up_and_one_that_did_is_made_again() -> None:
    first = ActorHealth(TIMES, 0.0)
    assert first.on_failed_start("No weights.", 1.0) is Action.GIVE_UP
    later = alive()
    assert later.on_failed_start("Disk full.", 1.0) is Action.REMAKE
    assert later.problem == "Disk full."


def test_a_failed_update_is_a_problem_until_an_update_succeeds_and_no_silence() -> None:
    health = alive()
    health.on_failed_update("A source hangs.")
    assert (health.problem, health.silent_s) == ("A source hangs.", 0.0)
    health.on_heartbeat(1, {}, 1.0)
    assert health.problem == "A source hangs."
    health.on_updated()
    assert health.problem == ""


@pytest.mark.parametrize(
    ("timing", "is_hung"),
    [
        (StepTiming(0.0, 0.02), False),
        (StepTiming(4.0, 0.02), False),
        (StepTiming(4.1, 0.02), True),
        (StepTiming(7.9, 0.8), False),
        (StepTiming(8.1, 0.8), True),
        (StepTiming(170.0, None), False),
        (StepTiming(181.0, None), True),
    ],
)
def test_a_step_is_hung_after_4_s_and_10_times_its_expected_duration(
    timing: StepTiming, is_hung: bool
) -> None:
    health = alive()
    action = health.on_heartbeat(1, {S: timing, StreamId("other"): IDLE[S]}, 1.0)
    assert action is (Action.KILL if is_hung else Action.NOTHING)
    assert list(health.hung_s) == [S] * is_hung
    assert (S in health.problem) is is_hung


def test_a_last_heartbeat_of_a_killed_process_is_ignored() -> None:
    health = alive()
    health.on_heartbeat(1, {S: StepTiming(5.0, 0.02)}, 1.0)
    assert health.on_heartbeat(1, {S: StepTiming(5.1, 0.02)}, 1.1) is Action.NOTHING
    assert "hangs" in health.problem and not health.is_alive
    assert health.on_heartbeat(1, {S: StepTiming(8.0, 0.02)}, 1.0 + TIMES.kill_s) is Action.KILL
    assert health.on_heartbeat(2, IDLE, 5.0) is Action.NOTHING
    health.on_updated()
    assert (health.restarts, health.problem) == (1, "")


def test_times_are_arguments() -> None:
    action, at_s = silence(alive(replace(TIMES, hang_s=0.5)), 0.0, 60.0)
    assert action is Action.KILL and at_s < 2.0
