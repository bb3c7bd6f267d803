"""What is for a pipe goes to stdout, what is for people to stderr."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from actors.cli.terminal import log_to_stderr, print_json
from streaming.settings import Settings


@pytest.fixture
def root_log() -> Iterator[logging.Logger]:
    """The root logger, put back as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers[:] = []
    yield root
    root.handlers[:] = handlers
    root.setLevel(level)


def test_json_is_one_line_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"words": "the\nred one", "found": [1, 2]})
    written, said = capsys.readouterr()
    assert len(written.splitlines()) == 1 and said == ""
    assert json.loads(written) == {"words": "the\nred one", "found": [1, 2]}


def test_the_log_goes_to_stderr_from_the_level_of_the_settings_on(
    root_log: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    log_to_stderr(Settings(log_level="warning"))
    root_log.info("too quiet")
    root_log.warning("a [red]camera[/red] went away")
    written, said = capsys.readouterr()
    assert written == ""
    assert "too quiet" not in said and "a [red]camera[/red] went away" in said
