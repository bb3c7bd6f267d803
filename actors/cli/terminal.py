"""Shared by all commands: consoles, exit codes, common options, logging."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.logging import RichHandler

from actors.log_repeats import RepeatedLogFilter
from streaming.settings import Settings

USAGE_EXIT: Final = 2
FAILURE_EXIT: Final = 1

out = Console()
err = Console(stderr=True)

Config = Annotated[
    Path | None,
    typer.Option("--config", help="Settings file. Default: saccade.toml in this folder, if there is one."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one line of JSON on stdout, for scripts.")]


def print_json(value: object) -> None:
    """Print a value as one line of JSON on stdout."""
    print(json.dumps(value), flush=True)


def log_to_stderr(settings: Settings) -> None:
    """Log to stderr from the level of the settings on; stdout is for results."""
    handler = RichHandler(console=err, show_path=False, markup=False, log_time_format="[%X]")
    handler.addFilter(RepeatedLogFilter())
    logging.basicConfig(
        level=settings.log_level.upper(), format="%(message)s", handlers=[handler], force=True
    )
