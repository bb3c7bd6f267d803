"""The recipe of nano: four stages, trained one after the other from random weights within a time budget.

It is Sa2VA's at a small scale: a SAM-2 that tracks (`tracker`), a language model that grounds (`vision` and
`grounding`, the pre-training), then both together on the task mixture (`decoder`). `RECIPE` lists the stages;
each has its checkpoint under `runs/<stage>` and resumes from there. How the bundled weights were made:
engines/nano/MODEL_CARD.md.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from lab.evaluation.photo_referring import photographs_to_calibrate
from lab.training.curves import CURVES, draw_curves_if_possible
from lab.training.export import save_sa2va
from lab.training.grounding_recipe import GroundingRunConfig, train_decoder, train_grounding, train_vision
from lab.training.photo_clips import PhotoClips
from lab.training.photo_vision import PhotoVisionConfig, train_photo_vision
from lab.training.presence_threshold import calibrate_presence
from lab.training.stages import Stage as Stage
from lab.training.tracker_clips import DrawnClips
from lab.training.tracker_recipe import TrackerRunConfig, train_tracker
from lab.training.trainer import LogEntry, OnLog
from streaming.errors import NotFound

CALIBRATION_SCENES: Final = 200
TUNING_LR: Final = 2.5e-4
"Peak learning rate of stage `tracker` from a trained tracker; from random weights it is 4e-4."
DECODER_SEED: Final = 1001
"Far from that of stage `grounding`, which is 1 plus the number of the session: no scene is in both."


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """What is trained, for how long, and where."""

    stage: Stage = Stage.ALL
    budget_s: float = 7200.0
    "Seconds to train, of all sessions; for all stages together where all are trained."
    runs: Path = Path("runs")
    "Folder with a run's directory for each stage; what is there is resumed."
    export: Path = Path("out/nano")
    "Gets the folders `tracker` and `sa2va`, in the published layouts."
    clips: int = 4
    "Clips of a step of stage `tracker`, see `DrawnClips.clips`."
    images: int = 8
    "Scenes of a step of the other stages."
    photos: Path | None = None
    "Folder of labelled photographs; None: the drawn world alone."
    start: str | None = None
    """What stage `tracker` or `grounding` (a trained model's name or folder) or `vision` (the folder of an
    exported tower) starts from; None: random weights."""

    def checkpoint(self, stage: Stage) -> Path:
        """Return where the checkpoint of a stage is."""
        return self.runs / stage.value / "last.pt"


@dataclass(frozen=True, slots=True)
class TrainProgress:
    """State of a training, for display."""

    stage: Stage
    spent_s: float
    budget_s: float
    "Both of this stage."
    metrics: LogEntry
    "The newest entry of the log; empty when a stage starts and when it is finished."


@dataclass(frozen=True, slots=True)
class TrainReport:
    """A finished training."""

    stages: tuple[Stage, ...]
    took_s: float
    export: Path


@dataclass(frozen=True, slots=True)
class StageRecipe:
    """How a stage is trained."""

    stage: Stage
    budget_share: float
    "Of the budget, where all stages are trained."
    needs: tuple[Stage, ...]
    "Stages whose checkpoints it starts from."
    train: Callable[[TrainOptions, float, OnLog], None]
    "With the seconds of the stage; trains until they are spent and exports."


def train_nano(options: TrainOptions, on_progress: Callable[[TrainProgress], None]) -> TrainReport:
    """Train the stages asked for, in order; may be interrupted at any time and called again to resume.

    The curves of all stages are drawn into the folder of runs after every stage and when one is interrupted.
    Raises NotFound where the checkpoint of a needed stage is missing, CheckpointError where a folder holds a
    run of another model.
    """
    recipes = [recipe for recipe in RECIPE if options.stage in (recipe.stage, Stage.ALL)]
    started_s = time.monotonic()
    for recipe in recipes:
        _train_stage(recipe, options, on_progress)
    stages = tuple(recipe.stage for recipe in recipes)
    return TrainReport(stages, time.monotonic() - started_s, options.export)


def _train_stage(
    recipe: StageRecipe, options: TrainOptions, on_progress: Callable[[TrainProgress], None]
) -> None:
    budget_s = options.budget_s * (recipe.budget_share if options.stage is Stage.ALL else 1.0)

    def on_log(entry: LogEntry) -> None:
        on_progress(TrainProgress(recipe.stage, entry["elapsed_s"], budget_s, entry))

    on_progress(TrainProgress(recipe.stage, 0.0, budget_s, {}))
    for needed in recipe.needs:
        if not (checkpoint := options.checkpoint(needed)).exists():
            raise NotFound(f"There is no {checkpoint}.", remedy=f"Train stage `{needed}` first.")
    try:
        recipe.train(options, budget_s, on_log)
    finally:
        _draw_curves(options.runs)
    on_progress(TrainProgress(recipe.stage, budget_s, budget_s, {}))


def _draw_curves(runs: Path) -> None:
    started = [runs / one.stage for one in RECIPE if (runs / one.stage / "log.jsonl").is_file()]
    if started:
        draw_curves_if_possible(started, runs / CURVES)


# --- stages ---------------------------------------------------------------------------------------


def _tracker(options: TrainOptions, budget_s: float, on_log: OnLog) -> None:
    drawn = DrawnClips(clips=options.clips)
    config = TrackerRunConfig(
        options.runs / Stage.TRACKER,
        data=drawn if options.photos is None else PhotoClips(options.photos, drawn=drawn),
        export=options.export / "tracker",
        budget_s=budget_s,
        start=options.start,
    )
    if options.start is not None:
        config = replace(config, adamw_lr=TUNING_LR)
    train_tracker(config, on_log)


def _vision(options: TrainOptions, budget_s: float, on_log: OnLog) -> None:
    if options.photos is not None:
        config = PhotoVisionConfig(
            options.runs / Stage.VISION,
            budget_s=budget_s,
            export=options.export / "vision",
            photos=options.photos,
            images=options.images,
            start=None if options.start is None else Path(options.start),
        )
        train_photo_vision(config, on_log)
        return
    train_vision(_grounding_config(options, Stage.VISION, budget_s), on_log)


def _grounding(options: TrainOptions, budget_s: float, on_log: OnLog) -> None:
    config = replace(_grounding_config(options, Stage.GROUNDING, budget_s), start=options.start)
    train_grounding(config, options.checkpoint(Stage.VISION), on_log)


def _decoder(options: TrainOptions, budget_s: float, on_log: OnLog) -> None:
    export = options.export / "sa2va"
    config = GroundingRunConfig(
        options.runs / Stage.DECODER,
        export=export,
        budget_s=budget_s,
        seed=DECODER_SEED,
        images=options.images,
        photos=options.photos,
    )
    grounding, tracker = options.checkpoint(Stage.GROUNDING), options.checkpoint(Stage.TRACKER)
    trained = train_decoder(config, grounding, tracker, on_log)
    photographs = photographs_to_calibrate(options.photos) if options.photos else ()
    save_sa2va(calibrate_presence(trained, CALIBRATION_SCENES, photographs), export)


def _grounding_config(options: TrainOptions, stage: Stage, budget_s: float) -> GroundingRunConfig:
    return GroundingRunConfig(
        options.runs / stage, budget_s=budget_s, images=options.images, photos=options.photos
    )


RECIPE: Final = (
    StageRecipe(Stage.TRACKER, 0.35, (), _tracker),
    StageRecipe(Stage.VISION, 0.15, (), _vision),
    StageRecipe(Stage.GROUNDING, 0.25, (Stage.VISION,), _grounding),
    StageRecipe(Stage.DECODER, 0.25, (Stage.GROUNDING, Stage.TRACKER), _decoder),
)
"The stages in the order of training."
