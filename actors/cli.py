"""The command line. Every command teaches itself with --help; errors are one line and a non-zero exit.

The commands are in `actors/commands`; `saccade --help` lists them in the order in which they are added here,
and loads neither torch nor Ray.
"""

from __future__ import annotations

import os
import sys
from typing import NoReturn

import typer

from actors.commands import ablation, bench, models, service, soak, streams, training
from actors.commands.terminal import FAILURE_EXIT, USAGE_EXIT, err
from streaming.errors import SaccadeError, UsageError

app = typer.Typer(
    name="saccade",
    help="Say what to follow: words in, pixel masks out, on live video.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with `saccade demo`. Settings: saccade.toml and SACCADE_* (see docs/settings.md).",
)
app.command()(service.demo)
app.command()(service.up)
app.command()(streams.watch)
app.command()(models.track)
app.command("eval")(models.evaluate)
app.command()(models.export)
app.command()(service.doctor)
app.add_typer(streams.stream_app, name="stream")
app.add_typer(streams.query_app, name="query")
bench.bench_app.command("soak")(soak.soak)
app.add_typer(bench.bench_app, name="bench")
training.train_app.command("ablation")(ablation.ablate)
app.add_typer(training.train_app, name="train")


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
