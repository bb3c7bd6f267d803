"""How fast this machine does it: the whole line, or the tracker alone."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from actors.commands.terminal import AsJson, Config, err, log_to_stderr, out, print_json
from actors.tables import bench_tables, line_table
from streaming.settings import load_settings

bench_app = typer.Typer(help="Measure how fast it is here.", no_args_is_help=True)

Objects = Annotated[str, typer.Option(help="Numbers of objects, e.g. 1,3.")]


@bench_app.command("line")
def bench_line_command(
    objects: Objects = "1,3",
    seconds: Annotated[float, typer.Option(help="To measure with each number of objects.", min=2)] = 20.0,
    edits: Annotated[int, typer.Option(help="Of words, with each number of objects.", min=0)] = 12,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Time the whole line: a 60 fps camera over RTSP, the service as `saccade up` runs it, masks from Redis.

    Prints frames tracked per second, how old they are when they are published and when they have been read,
    what was dropped, how long new words take to their first mask, and who used the processor meanwhile. The
    camera and the reader run on this machine too. Run it on a quiet one. Needs go2rtc (`make rtsp-server`).

        saccade bench line --json
        saccade bench line --objects 3 --seconds 60
    """
    from actors.measuring.line import LineOptions, bench_line
    from actors.stopping import run_stoppable

    options = LineOptions(_counts(objects), seconds, edits)
    settings = load_settings(config).model_copy(update={"log_level": "warning"})
    log_to_stderr(settings)
    report = run_stoppable(bench_line(settings, options, err.print))
    if report is None:
        raise KeyboardInterrupt
    print_json(asdict(report)) if as_json else out.print(line_table(asdict(report)))


@bench_app.command("tracker")
def bench_tracker_command(
    objects: Objects = "1,3",
    frames: Annotated[int, typer.Option(help="Frames to time, after a warm-up.", min=10)] = 100,
    threads: Annotated[int, typer.Option(help="CPU threads on both sides.", min=1)] = 1,
    as_json: AsJson = False,
) -> None:
    """Time our tracker against transformers' own video session: same weights, frames, threads, one run.

    Run it on a quiet machine. Prints ms per frame and part, frames per second, the ratio, and how much the
    masks agree.
    """
    from engines.evaluation.bench import bench_tracker

    counts = _counts(objects)
    with err.status("Timing both, in alternating order ..."):
        report = bench_tracker(counts, frames=frames, threads=threads)
    print_json(asdict(report)) if as_json else out.print(*bench_tables(asdict(report)))


def _counts(text: str) -> tuple[int, ...]:
    try:
        counts = tuple(int(part) for part in text.split(","))
    except ValueError:
        counts = ()
    if not counts or min(counts) < 1:
        raise typer.BadParameter("Write numbers of objects with commas between, e.g. 1,3.")
    return counts
