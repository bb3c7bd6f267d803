"""Entry point of the command `saccade`: the product's commands and those added by installed plug-ins.

`saccade --help` loads neither torch nor Ray. A SaccadeError ends the program with one line on stderr.
"""

from __future__ import annotations

import os
import sys
from importlib.metadata import entry_points
from typing import Final, NoReturn

import typer
from rich.markup import escape
from typer.models import CommandInfo

from actors.cli import models, service, streams
from actors.cli.terminal import FAILURE_EXIT, USAGE_EXIT, err
from streaming.errors import SaccadeError, UsageError

PLUGINS: Final = "saccade.commands"
"""Entry point group of plug-ins. Each is a function that adds commands to a given `typer.Typer`. `lab` adds
demo, eval, bench and train this way, so that the product does not import `lab`."""

HELP_ORDER: Final = ("demo", "up", "watch", "track", "eval", "export", "doctor")
"Order of the commands in `saccade --help`, by when a new user needs them. Others follow, then the groups."


def create_app() -> typer.Typer:
    """Return the command line with all commands."""
    app = typer.Typer(
        name="saccade",
        help="Type what to follow on live video, and get its pixel masks.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        epilog="Start with `saccade demo`. Settings: saccade.toml and SACCADE_*, see docs/settings.md.",
    )
    for plugin in sorted(entry_points(group=PLUGINS), key=lambda found: found.name):
        plugin.load()(app)
    app.command()(service.up)
    app.command()(streams.watch)
    app.command()(models.track)
    app.command()(models.export)
    app.command()(service.doctor)
    app.registered_commands.sort(key=_help_rank)
    app.add_typer(streams.stream_app, name="stream")
    app.add_typer(streams.query_app, name="query")
    app.registered_groups.sort(key=lambda group: group.name not in ("stream", "query"))
    return app


def _help_rank(command: CommandInfo) -> int:
    name = command.name or getattr(command.callback, "__name__", "")
    return HELP_ORDER.index(name) if name in HELP_ORDER else len(HELP_ORDER)


app = create_app()


def main() -> None:
    """Run the command line and exit with 0, 1 (failure), 2 (user's mistake) or 130 (Ctrl-C)."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    try:
        app(standalone_mode=True)
    except SaccadeError as exc:
        _fail(exc)
    except KeyboardInterrupt:
        err.print("Stopped.")
        sys.exit(130)


def _fail(exc: SaccadeError) -> NoReturn:
    err.print(f"[red]{exc.code}[/red]: {escape(str(exc))}", highlight=False, soft_wrap=True)
    sys.exit(USAGE_EXIT if isinstance(exc, UsageError) else FAILURE_EXIT)
