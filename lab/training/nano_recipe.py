"""All of nano from nothing, within a budget of time: tracker, vision, grounding, decoder.

The papers' recipe at a small scale: SAM-2 first, by following (`tracker`); a language model that
looks and points (`vision`, `grounding`: the pre-training); then both together on the mixture (`decoder`).
Every stage keeps its last.pt under `runs/<stage>` and goes on from there. How the bundled weights were made:
engines/nano/MODEL_CARD.md.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from engines.grounding.checkpoints import save_sa2va
from lab.training.curves import CURVES, draw_runs
from lab.training.grounding_recipe import GroundingRun, train_decoder, train_grounding, train_vision
from lab.training.presence_threshold import calibrated
from lab.training.tracker_recipe import TrackerRun, train_tracker
from lab.training.trainer import Told
from streaming.errors import NotFound

CALIBRATION_SCENES: Final = 200
DECODER_NUMBER: Final = 1001
"Far from stage `grounding`'s, which counts from 1 with every session: the two share no picture."


class Stage(StrEnum):
    """What is trained."""

    TRACKER = "tracker"
    VISION = "vision"
    GROUNDING = "grounding"
    DECODER = "decoder"
    ALL = "all"


SHARES: Final = {
    Stage.TRACKER: 0.35,
    Stage.VISION: 0.15,
    Stage.GROUNDING: 0.25,
    Stage.DECODER: 0.25,
}
"""Of the budget, where all stages are trained."""


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """What somebody asked for."""

    stage: Stage = Stage.ALL
    budget_s: float = 7200.0
    "Time to train, earlier sessions included; a single stage gets all of it."
    runs: Path = Path("runs")
    "Keeps what every stage has learnt; what is there is gone on from."
    export: Path = Path("out/nano")
    "Gets the folders `tracker` and `sa2va`."
    clips: int = 4
    "Of a step of stage `tracker`."
    pictures: int = 8
    "Of a step of the other stages."


@dataclass(frozen=True, slots=True)
class TrainProgress:
    """Where the training is."""

    stage: Stage
    spent_s: float
    budget_s: float
    "Both of this stage."
    figures: Told
    "Loss and rates since the last word, or held-out scores; empty at a stage's beginning and end."


@dataclass(frozen=True, slots=True)
class TrainReport:
    """What was done."""

    stages: tuple[Stage, ...]
    took_s: float
    export: Path


def train_nano(options: TrainOptions, progress: Callable[[TrainProgress], None]) -> TrainReport:
    """Train the stages asked for, in order; may be stopped at any time and called again.

    `plot.CURVES`, of all stages, is drawn after every stage and when one is stopped.
    Raises NotFound where a stage has none to stand on: `grounding` wants `vision`, `decoder` wants
    `grounding` and `tracker`.
    """
    stages = tuple(SHARES) if options.stage is Stage.ALL else (options.stage,)
    started_s = time.monotonic()
    for stage in stages:
        budget_s = options.budget_s * (SHARES[stage] if options.stage is Stage.ALL else 1.0)
        progress(TrainProgress(stage, 0.0, budget_s, {}))
        try:
            _train(stage, options, budget_s, progress)
        finally:
            _draw_curves(options.runs)
        progress(TrainProgress(stage, budget_s, budget_s, {}))
    return TrainReport(stages, time.monotonic() - started_s, options.export)


def _train(
    stage: Stage, options: TrainOptions, budget_s: float, progress: Callable[[TrainProgress], None]
) -> None:
    directory = options.runs / stage.value

    def tell(figures: Told) -> None:
        progress(TrainProgress(stage, figures["elapsed_s"], budget_s, figures))

    match stage:
        case Stage.TRACKER:
            export = options.export / "tracker"
            train_tracker(TrackerRun(directory, export=export, budget_s=budget_s, clips=options.clips), tell)
        case Stage.VISION:
            train_vision(GroundingRun(directory, budget_s=budget_s, pictures=options.pictures), tell)
        case Stage.GROUNDING:
            run = GroundingRun(directory, budget_s=budget_s, pictures=options.pictures)
            train_grounding(run, _needed(options, Stage.VISION), tell)
        case Stage.DECODER:
            reader, tracker = _needed(options, Stage.GROUNDING), _needed(options, Stage.TRACKER)
            export = options.export / "sa2va"
            run = GroundingRun(
                directory,
                export=export,
                budget_s=budget_s,
                number=DECODER_NUMBER,
                pictures=options.pictures,
            )
            save_sa2va(calibrated(train_decoder(run, reader, tracker, tell), CALIBRATION_SCENES), export)


def _draw_curves(runs: Path) -> None:
    begun = [runs / stage for stage in SHARES if (runs / stage / "log.jsonl").is_file()]
    if begun:
        draw_runs(begun, runs / CURVES)


def _needed(options: TrainOptions, stage: Stage) -> Path:
    """The checkpoint of a stage that another stands on. Raises NotFound."""
    last = _last(options, stage)
    if not last.exists():
        raise NotFound(f"There is no {last}.", remedy=f"Train stage `{stage}` first.")
    return last


def _last(options: TrainOptions, stage: Stage) -> Path:
    return options.runs / stage.value / "last.pt"
