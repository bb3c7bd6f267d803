"""`saccade bench soak`: memory on an endless stream."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from actors.cli.terminal import AsJson, err, out, print_json
from lab.cli.bench import Plot, prepare_plot

if TYPE_CHECKING:
    from lab.benchmarks.soak import Sample, SoakPlan, SoakReport, SoakRun

_MIB: Final = 2**20


def soak(
    frames: Annotated[int, typer.Option(help="That every engine tracks.", min=20)] = 10_000,
    backend: Annotated[str, typer.Option(help="Saccade's backends, e.g. openvino,torch.")] = "auto",
    against: Annotated[str, typer.Option(help="transformers, or nothing.")] = "transformers",
    objects: Annotated[int, typer.Option(help="At a time.", min=1, max=3)] = 2,
    model: Annotated[str, typer.Option(help="`nano`, or the folder or file of a checkpoint.")] = "nano",
    threads: Annotated[int, typer.Option(help="CPU threads of each.", min=1)] = 1,
    limit_mib: Annotated[int, typer.Option(help="An engine that grows by more is stopped.", min=1)] = 2048,
    plot: Plot = None,
    as_json: AsJson = False,
) -> None:
    """Track an endless clip and measure the memory, of Saccade's tracker and of transformers' session.

    Saccade's objects are replaced one after another; the session tracks the same ones all the time, since it
    cannot remove any. Each runs in its own process, one after the other. A slope within the noise is none.

        saccade bench soak --backend openvino,torch --plot soak.svg --json
    """
    from lab.benchmarks.soak import SoakPlan, SoakReport
    from lab.benchmarks.soak_plot import plot_soak

    prepare_plot(plot)
    engines = _engines(backend, against)
    plan = SoakPlan(frames, objects, model, threads, limit_mib * _MIB)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True) as bars:
        report = SoakReport(plan, tuple(_run(engine, plan, bars) for engine in engines))
    print_json(asdict(report)) if as_json else out.print(_table(report))
    if plot is not None:
        plot.write_text(plot_soak(report))


def _engines(backend: str, against: str) -> list[str]:
    """Return the engines in order, each once. Raises BackendUnavailable."""
    from engines.backends.choose import resolve_backend
    from lab.benchmarks.soak import TRANSFORMERS

    if against not in ("", TRANSFORMERS):
        raise typer.BadParameter(f"Write {TRANSFORMERS}, or nothing.")
    backends = [resolve_backend(name) for name in backend.split(",")]
    return list(dict.fromkeys([*backends, against] if against else backends))


def _run(engine: str, plan: SoakPlan, bars: Progress) -> SoakRun:
    from lab.benchmarks.soak import run_in_process

    bar = bars.add_task(engine, total=plan.frames)

    def show(sample: Sample) -> None:
        description = f"{engine}, {sample.resident_bytes // _MIB} MiB"
        bars.update(bar, completed=sample.frames, description=description)

    return run_in_process(engine, plan, show)


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
