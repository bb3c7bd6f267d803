"""`saccade bench soak`: what an endless stream costs in memory."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from actors.cli.terminal import AsJson, err, out, print_json
from engines.backends.choose import resolve_backend
from lab.cli.bench import Plot, make_room

if TYPE_CHECKING:
    from lab.benchmarks.soak import Sample, SoakPlan, SoakReport, SoakRun

_MIB = 2**20


def soak(
    frames: Annotated[int, typer.Option(help="That every engine follows.", min=20)] = 10_000,
    backend: Annotated[str, typer.Option(help="Ways to run ours, e.g. openvino,torch.")] = "auto",
    against: Annotated[str, typer.Option(help="transformers, or nothing.")] = "transformers",
    objects: Annotated[int, typer.Option(help="At a time.", min=1, max=3)] = 2,
    model: Annotated[str, typer.Option(help="`nano`, or the folder or file of a checkpoint.")] = "nano",
    threads: Annotated[int, typer.Option(help="CPU threads of each.", min=1)] = 1,
    limit_mib: Annotated[int, typer.Option(help="An engine that grows by more is stopped.", min=1)] = 2048,
    plot: Plot = None,
    as_json: AsJson = False,
) -> None:
    """Follow an endless film and watch the memory: ours, and transformers' own session beside it.

    Of ours, objects come and go; theirs follows the same all the way, since it can let none go. Each runs in
    a process of its own, one after the other. A slope within the noise is none.

        saccade bench soak --backend openvino,torch --plot soak.svg --json
    """
    from lab.benchmarks.soak import SoakPlan, SoakReport
    from lab.benchmarks.soak_plot import draw_soak

    engines = _engines(backend, against)
    make_room(plot)
    plan = SoakPlan(frames, objects, model, threads, limit_mib * _MIB)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True) as bars:
        report = SoakReport(plan, tuple(_run(engine, plan, bars) for engine in engines))
    print_json(asdict(report)) if as_json else out.print(_table(report))
    if plot is not None:
        plot.write_text(draw_soak(report))


def _engines(backend: str, against: str) -> list[str]:
    """In order, each once. Raises BackendUnavailable."""
    from lab.benchmarks.soak import THEIRS

    if against not in ("", THEIRS):
        raise typer.BadParameter(f"Write {THEIRS}, or nothing.")
    ours = [resolve_backend(name) for name in backend.split(",")]
    return list(dict.fromkeys([*ours, against] if against else ours))


def _run(engine: str, plan: SoakPlan, bars: Progress) -> SoakRun:
    from lab.benchmarks.soak import run_apart

    bar = bars.add_task(engine, total=plan.frames)

    def tell(sample: Sample) -> None:
        grown = f"{engine}, {sample.resident_bytes // _MIB} MiB"
        bars.update(bar, completed=sample.frames, description=grown)

    return run_apart(engine, plan, tell)


def _table(report: SoakReport) -> Table:
    table = Table("engine", "frames", "MiB at the end", "KiB a frame", "noise, KiB", "ms a frame", box=None)
    for run in report.runs:
        last = run.samples[-1]
        frames = f"{last.frames}, then stopped" if run.stopped else str(last.frames)
        table.add_row(
            run.engine,
            frames,
            f"{last.resident_bytes / _MIB:.0f}",
            f"{run.bytes_per_frame / 1024:+.2f}",
            f"{run.noise_bytes / 1024:.0f}",
            f"{run.frame_ms:.1f}",
        )
    return table
