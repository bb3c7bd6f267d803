"""The command `saccade`: every command of the product, and those that installed plug-ins add.

`saccade --help` lists the commands and loads neither torch nor Ray. Errors are one line and a non-zero exit.
"""

from __future__ import annotations

import os
import sys
from importlib.metadata import entry_points
from typing import Final, NoReturn

import typer

from actors.cli import models, service, streams
from actors.cli.terminal import FAILURE_EXIT, USAGE_EXIT, err
from streaming.errors import SaccadeError, UsageError

PLUGINS: Final = "saccade.commands"
"""Entry points of this group take the `typer.Typer` and add commands to it. `lab` adds demo, eval, bench and
train this way, so that the product need not import it."""


def create_app() -> typer.Typer:
    """The command line with all its commands."""
    app = typer.Typer(
        name="saccade",
        help="Say what to follow: words in, pixel masks out, on live video.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        epilog="Start with `saccade demo`. Settings: saccade.toml and SACCADE_* (see docs/settings.md).",
    )
    for plugin in sorted(entry_points(group=PLUGINS), key=lambda found: found.name):
        plugin.load()(app)
    app.command()(service.up)
    app.command()(streams.watch)
    app.command()(models.track)
    app.command()(models.export)
    app.command()(service.doctor)
    app.add_typer(streams.stream_app, name="stream")
    app.add_typer(streams.query_app, name="query")
    return app


app = create_app()


def main() -> None:
    """Entry point of the command `saccade`."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    try:
        app(standalone_mode=True)
    except SaccadeError as exc:
        _fail(exc)
    except KeyboardInterrupt:
        err.print("Stopped.")
        sys.exit(130)


def _fail(exc: SaccadeError) -> NoReturn:
    err.print(f"[red]{exc.code}[/red]: {exc}", highlight=False, soft_wrap=True)
    sys.exit(USAGE_EXIT if isinstance(exc, UsageError) else FAILURE_EXIT)
