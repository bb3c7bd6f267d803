"""`saccade train ablation`: measure the effect of the structure-aware losses on stage decoder."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from actors.cli.terminal import AsJson, err, out, print_json
from streaming.errors import NotFound

if TYPE_CHECKING:
    from lab.evaluation.metrics import Fit
    from lab.training.ablation import Cell, Report, Spread


def ablate(
    reader: Annotated[Path, typer.Option(help="Checkpoint of stage grounding.")] = Path(
        "runs/grounding/last.pt"
    ),
    tracker: Annotated[Path, typer.Option(help="Checkpoint of stage tracker.")] = Path(
        "runs/tracker/last.pt"
    ),
    runs: Annotated[Path, typer.Option(help="Folder for trials and their results.")] = Path("runs/ablation"),
    steps: Annotated[int, typer.Option(help="Per trial.", min=1)] = 600,
    seeds: Annotated[int, typer.Option(help="Trials per arm.", min=1)] = 3,
    scenes: Annotated[int, typer.Option(help="Held-out scenes to measure on.", min=1)] = 100,
    as_json: AsJson = False,
) -> None:
    """Train stage decoder with and without the structure-aware losses and compare the results.

    All arms of a seed have the same steps, initial weights and images. A trial takes ten minutes on a CPU
    core. May be stopped at any time: finished trials stay in --runs and are not trained again.

        saccade train ablation --steps 600 --seeds 3 --json
    """
    for checkpoint, stage in ((reader, "grounding"), (tracker, "tracker")):
        if not checkpoint.is_file():
            raise NotFound(f"There is no {checkpoint}.", remedy=f"Train stage `{stage}` first.")
    from lab.training.ablation import ARMS, Ablation, Trial, level_of, run_ablation, train_trial

    ablation = Ablation(reader, tracker, runs, steps, seeds, scenes, level_of(reader))
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True) as bars:
        bar = bars.add_task("trials", total=len(ARMS) * seeds)

        def run(trial: Trial) -> Fit:
            name = f"{trial.arm}, seed {trial.seed}"
            steps_bar = bars.add_task(name, total=steps)
            fit = train_trial(ablation, trial, lambda told: bars.update(steps_bar, completed=told["step"]))
            bars.remove_task(steps_bar)
            return fit

        def show(cell: Cell) -> None:
            bars.advance(bar)
            err.print(f"{cell.arm}, seed {cell.seed}: J&F {cell.fit.j_and_f:.3f}", highlight=False)

        report = run_ablation(ablation, run, show)
    print_json(asdict(report)) if as_json else out.print(_table(report))


def _table(report: Report) -> Table:
    table = Table("stage decoder", "J", "F", "J&F", "gain", box=None)
    for row in report.rows:
        table.add_row(
            row.arm, f"{row.j:.3f}", f"{row.f:.3f}", _spread(row.j_and_f, ""), _spread(row.gain, "+")
        )
    return table


def _spread(spread: Spread, sign: str) -> str:
    return f"{spread.mean:{sign}.3f}" + (f" ± {spread.sd:.3f}" if spread.sd is not None else "")
