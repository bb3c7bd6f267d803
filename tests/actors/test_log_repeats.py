"""A message that repeats is logged once a second, with the number that was left out."""

from __future__ import annotations

import logging

import pytest

from actors.log_repeats import RepeatedLogFilter


class Log:
    """A logger with the filter, at a time that the test sets."""

    def __init__(self) -> None:
        self.now_s = 50.0
        self.lines: list[str] = []
        self._filter = RepeatedLogFilter(lambda: self.now_s)

    def warn(self, message: str, *arguments: object, name: str = "saccade") -> None:
        record = logging.LogRecord(name, logging.WARNING, "", 0, message, arguments, None)
        if self._filter.filter(record):
            self.lines.append(record.getMessage())


@pytest.fixture
def log() -> Log:
    return Log()


def test_messages_of_one_form_pass_once_a_second(log: Log) -> None:
    for index in range(26_000):
        log.now_s += 1e-4
        log.warn("accept failed: %d", index)
    assert log.lines == [
        "accept failed: 0",
        "accept failed: 10000 (and 9999 more like it)",
        "accept failed: 20000 (and 9999 more like it)",
    ]


def test_other_messages_and_other_loggers_pass_at_once(log: Log) -> None:
    log.warn("one")
    log.warn("another")
    log.warn("one", name="uvicorn")
    assert log.lines == ["one", "another", "one"]


def test_what_is_rare_is_passed_unchanged(log: Log) -> None:
    for _ in range(3):
        log.warn("50 %% of %s", "it")
        log.now_s += 1.0
    assert log.lines == ["50 % of it"] * 3


def test_many_different_messages_take_no_memory_for_ever(log: Log) -> None:
    for index in range(5_000):
        log.warn(f"message {index}")
    assert len(log.lines) == 5_000
    assert len(log._filter._passed) <= 1_000
