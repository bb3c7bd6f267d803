"""Tests of output: JSON on stdout, logs on stderr."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from actors.cli.terminal import log_to_stderr, print_json
from streaming.settings import Settings


@pytest.fixture
def root_log() -> Iterator[logging.Logger]:
    """The root logger; its handlers and level are restored after the test."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers[:] = []
    yield root
    root.handlers[:] = handlers
    root.setLevel(level)


def test_json_is_one_line_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"words": "the\nred one", "found": [1, 2]})
    stdout, stderr = capsys.readouterr()
    assert len(stdout.splitlines()) == 1 and stderr == ""
    assert json.loads(stdout) == {"words": "the\nred one", "found": [1, 2]}


def test_logs_from_the_set_level_on_go_to_stderr(
    root_log: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    log_to_stderr(Settings(log_level="warning"))
    root_log.info("too quiet")
    root_log.warning("a [red]camera[/red] went away")
    stdout, stderr = capsys.readouterr()
    assert stdout == ""
    assert "too quiet" not in stderr and "a [red]camera[/red] went away" in stderr
