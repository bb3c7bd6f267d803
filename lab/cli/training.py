"""`saccade train`: train nano, tune a Sa2VA checkpoint, plot a training. Trainings can be continued."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from actors.cli.tables import pairs_table
from actors.cli.terminal import AsJson, err, out, print_json
from engines.grounding.checkpoint_folder import checkpoint_folder
from lab.training.stages import Stage

if TYPE_CHECKING:
    from lab.cli.training_progress import TrainingView

STOPPED_EXIT: Final = 130
MAX_BATCH: Final = 512
"A larger batch would make training seeds reach the held-out ones."
UNITS_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}

train_app = typer.Typer(help="Train models and plot their training.", no_args_is_help=True)

Budget = Annotated[
    str, typer.Option(help="Time to train, as 90s, 30m, 2h or 1d; earlier sessions count.", metavar="TIME")
]
Runs = Annotated[Path, typer.Option(help="Folder of checkpoints, logs and plots.")]


@train_app.command("nano")
def train_nano_command(
    stage: Annotated[
        str, typer.Option(help="tracker, vision, grounding, decoder or all, one after the other.")
    ] = "all",
    budget: Budget = "2h",
    runs: Runs = Path("runs"),
    export: Annotated[Path, typer.Option(help="Folder for the finished model.")] = Path("out/nano"),
    clips: Annotated[int, typer.Option(help="Clips per step of stage tracker.", min=1, max=MAX_BATCH)] = 4,
    pictures: Annotated[
        int, typer.Option(help="Images per step of the other stages; more for a GPU.", min=1, max=MAX_BATCH)
    ] = 8,
    photos: Annotated[
        Path | None,
        typer.Option(help="Folder of labelled photographs (COCO), for all stages.", file_okay=False),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(help="What one stage starts from: nano or a folder; for vision a folder."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Train the bundled model on drawn scenes, with --photos on photographs, too.

    From random weights; with --start stage tracker goes on from a tracker,
    stage vision, with photographs, from an exported vision tower, and stage
    grounding keeps all of a trained grounder but its vision tower.

    Continues from the checkpoints in RUNS; Ctrl-C at any time. RUNS/curves.svg shows loss and held-out
    scores.
    How the bundled weights were made with it, and how good they are: engines/nano/MODEL_CARD.md.

        saccade train nano --budget 2h --export out/nano
        saccade train nano --stage tracker --start nano --photos ~/photos --budget 10h
        saccade eval out/nano
        SACCADE_MODEL=out/nano/sa2va SACCADE_TRACKER=out/nano/tracker saccade demo
    """
    budget_s = _seconds(budget)
    if stage not in set(Stage):
        raise typer.BadParameter(f"Choose one of {', '.join(Stage)}.", param_hint="--stage")
    if start is not None and stage == Stage.ALL:
        raise typer.BadParameter("It is for one stage: give --stage, too.", param_hint="--start")
    # After the options are checked: it imports torch and transformers, which takes seconds.
    from lab.training.curves import CURVES
    from lab.training.nano_recipe import TrainOptions, TrainProgress, train_nano

    sizes = {"clips": clips, "images": pictures}
    options = TrainOptions(Stage(stage), budget_s, runs, export, photos=photos, start=start, **sizes)
    with _shown() as view:

        def show(progress: TrainProgress) -> None:
            if progress.metrics:
                view.show(progress.stage, progress.metrics)
            elif progress.spent_s:
                view.end(progress.stage)
            else:
                view.begin(progress.stage, progress.budget_s)

        report = train_nano(options, show)
    found = {
        "stages": [str(stage) for stage in report.stages],
        "took_s": report.took_s,
        "export": str(report.export),
        "curves": str(runs / CURVES),
    }
    print_json(found) if as_json else out.print(pairs_table(found))


@train_app.command("tune")
def tune(
    checkpoint: Annotated[Path, typer.Argument(help="Folder of a Sa2VA checkpoint as it is published.")],
    budget: Budget = "2h",
    runs: Runs = Path("runs"),
    export: Annotated[Path, typer.Option(help="Folder for the tuned checkpoint.")] = Path("out/tuned"),
    pictures: Annotated[int, typer.Option(help="Images per step.", min=1, max=MAX_BATCH)] = 2,
    as_json: AsJson = False,
) -> None:
    """Tune a Sa2VA checkpoint of any size on the drawn world, SAM-2 frozen but for its mask decoder.

    The papers' recipe: the language model, the projector of image features into it and the projection of
    [SEG] into SAM-2 are trained. Needs a GPU with memory for the language model four times in float32.
    Continues from RUNS/tune; Ctrl-C at any time.

        saccade train tune ~/Sa2VA-1B --budget 8h --pictures 8 --export out/tuned
        SACCADE_MODEL=out/tuned saccade demo
    """
    budget_s = _seconds(budget)
    checkpoint_folder(checkpoint)
    from lab.training.curves import CURVES
    from lab.training.trainer import LogEntry
    from lab.training.tuning_recipe import TuningRunConfig, train_tuning

    name, directory = "tune", runs / "tune"
    run = TuningRunConfig(directory, checkpoint=checkpoint, export=export, budget_s=budget_s, images=pictures)
    with _shown() as view:
        view.begin(name, budget_s)

        def show(entry: LogEntry) -> None:
            view.show(name, entry)

        train_tuning(run, show)
        view.end(name)
    found = {"export": str(export), "curves": str(directory / CURVES)}
    print_json(found) if as_json else out.print(pairs_table(found))


@train_app.command("plot")
def plot(
    folders: Annotated[list[Path], typer.Argument(help="Folders with a log.jsonl, one for each stage.")],
    picture: Annotated[Path, typer.Option("--out", help="SVG file to write.")] = Path("curves.svg"),
) -> None:
    """Plot loss and held-out scores over time, of finished or running trainings.

    saccade train plot runs/tracker runs/vision --out curves.svg
    """
    from lab.training.curves import draw_runs

    draw_runs(folders, picture)
    out.print(str(picture), highlight=False, soft_wrap=True)


def _seconds(budget: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", budget)
    if found is None or not float(found[1]):
        raise typer.BadParameter("Say a time as 90s, 30m, 2h or 1d.", param_hint="--budget")
    return float(found[1]) * UNITS_S[found[2]]


@contextmanager
def _shown() -> Iterator[TrainingView]:
    """Show a training's progress; after Ctrl-C print the command that continues it."""
    from lab.cli.training_progress import TrainingView

    view = TrainingView(err)
    try:
        with view.bars:
            yield view
    except KeyboardInterrupt:
        command = shlex.join(["saccade", *sys.argv[1:]])
        message = "Stopped; the last checkpoint is kept. Continue with:"
        err.print(f"{message}\n  {command}", highlight=False, markup=False, soft_wrap=True)
        raise typer.Exit(STOPPED_EXIT) from None
