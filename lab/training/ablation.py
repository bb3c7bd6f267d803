"""Ablation of the structure-aware terms: stage `decoder` with and without them, all else equal.

A trial is one arm with one seed. All trials start from the same checkpoints and take the same number of
steps; trials of one seed have the same initial weights and samples. Gains over the first arm are therefore
computed seed by seed, which removes the variance between seeds. The result of a trial, a cell, is stored as
soon as it is measured; an interrupted ablation resumes with the missing ones.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from statistics import mean, stdev
from typing import Any, Final

import torch

from engines.grounding.checkpoints import Sa2Va
from engines.grounding.grounder import SaGrounder
from engines.grounding.structure import RefinementKind
from lab.evaluation.held_out import draw_scenes
from lab.evaluation.metrics import Fit
from lab.evaluation.referring import score_grounder
from lab.training.curriculum import Curriculum
from lab.training.grounding_recipe import GroundingRunConfig, train_decoder
from lab.training.structure_losses import BOUNDARY_WEIGHT, CONTRAST_WEIGHT, StructureConfig
from lab.training.trainer import OnLog
from lab.training.world.levels import CURRICULUM, NANO_LEVEL, Level
from streaming.errors import Conflict

_LOSSES: Final = StructureConfig(CONTRAST_WEIGHT, BOUNDARY_WEIGHT)
ARMS: Final = {
    "base": StructureConfig(),
    "+ contrast and boundary": _LOSSES,
    "+ mask-biased attention": replace(_LOSSES, refinement=RefinementKind.MASK_BIASED_ATTENTION),
    "FiLM in its place": replace(_LOSSES, refinement=RefinementKind.FILM),
}
"By name; each is compared with the first."
FIRST_RUN_SEED: Final = 2001
"Run seed of the trials of seed 0; far from those of the stages."


@dataclass(frozen=True, slots=True)
class Ablation:
    """Settings of an ablation."""

    grounding: Path
    "Checkpoint of stage `grounding` that every trial starts from."
    tracker: Path
    "Checkpoint of stage `tracker` whose SAM-2 every trial starts from."
    directory: Path = Path("runs/ablation")
    "Folder of cells.json and of a run's directory for each trial."
    steps: int = 600
    "Of every trial."
    seeds: int = 3
    "Trials of every arm."
    scenes: int = 100
    "Held-out scenes of a measurement, the same for every trial."
    level: Level = NANO_LEVEL
    "Of the held-out scenes: the level that stage `grounding` has reached."


@dataclass(frozen=True, slots=True)
class Trial:
    """One arm with one seed."""

    arm: str
    "Key of `ARMS`."
    seed: int
    directory: Path
    """Of the trial's run. It does not exist yet: an interrupted trial starts again, because a resumed run
    draws other samples than an uninterrupted one."""

    @property
    def structure(self) -> StructureConfig:
        """The structure-aware parts of the arm."""
        return ARMS[self.arm]


@dataclass(frozen=True, slots=True)
class Cell:
    """The result of a trial."""

    arm: str
    seed: int
    fit: Fit


@dataclass(frozen=True, slots=True)
class Spread:
    """A mean over seeds with the sample standard deviation."""

    mean: float
    sd: float | None
    "None for a single seed."


@dataclass(frozen=True, slots=True)
class Row:
    """The result of an arm."""

    arm: str
    j: float
    f: float
    j_and_f: Spread
    gain: Spread
    "In J&F over the first arm with the same seed."


@dataclass(frozen=True, slots=True)
class Report:
    """The result of an ablation."""

    budget: dict[str, Any]
    rows: tuple[Row, ...]
    cells: tuple[Cell, ...]


def run_ablation(
    ablation: Ablation, run_trial: Callable[[Trial], Fit], on_cell: Callable[[Cell], None]
) -> Report:
    """Run all trials that have no stored cell, all arms of a seed before the next seed.

    `on_cell` is called with every cell, stored ones first. Raises Conflict where the folder has cells of
    other checkpoints, another level, or another number of steps or scenes. Exceptions of `run_trial`
    propagate; call again to resume.
    """
    store = _CellStore(ablation)
    for cell in store.cells:
        on_cell(cell)
    for seed in range(ablation.seeds):
        for arm in ARMS:
            if not store.contains(arm, seed):
                trial = Trial(arm, seed, ablation.directory / f"{list(ARMS).index(arm)}-{seed}")
                shutil.rmtree(trial.directory, ignore_errors=True)
                cell = Cell(arm, seed, run_trial(trial))
                store.add(cell)
                on_cell(cell)
    cells = [cell for cell in store.cells if cell.seed < ablation.seeds]
    return Report(store.budget, summarise(cells), tuple(cells))


def summarise(cells: Sequence[Cell]) -> tuple[Row, ...]:
    """Return a row for every arm; all arms have cells of the same seeds."""
    fits = {arm: {cell.seed: cell.fit for cell in cells if cell.arm == arm} for arm in ARMS}
    first = fits[next(iter(ARMS))]
    return tuple(
        Row(
            arm=arm,
            j=mean(fit.j for fit in by_seed.values()),
            f=mean(fit.f for fit in by_seed.values()),
            j_and_f=_spread([fit.j_and_f for fit in by_seed.values()]),
            gain=_spread([fit.j_and_f - first[seed].j_and_f for seed, fit in by_seed.items()]),
        )
        for arm, by_seed in fits.items()
    )


def measure(checkpoint: Sa2Va, ablation: Ablation) -> Fit:
    """Score the masks of all expressions with a referent in held-out scenes.

    The presence threshold is 0: all masks count, so that the score depends on masks only.
    """
    grounder = SaGrounder(replace(checkpoint, config={**checkpoint.config, "presence_threshold": 0.0}))
    return score_grounder(grounder, draw_scenes(ablation.scenes, ablation.level)).overall


def level_of(grounding: Path) -> Level:
    """Return the level that a checkpoint of stage `grounding` has reached."""
    curriculum = Curriculum(CURRICULUM, math.inf)
    state = torch.load(grounding, weights_only=True, map_location="cpu")
    curriculum.load_state_dict(state["curriculum"])
    return curriculum.level


def train_trial(ablation: Ablation, trial: Trial, on_log: OnLog) -> Fit:
    """Train stage `decoder` for a trial, without validations, at the level of its start, and measure it."""
    config = GroundingRunConfig(
        trial.directory,
        budget_s=float(ablation.steps),
        promotion_score=math.inf,
        validation_s=math.inf,
        seed=FIRST_RUN_SEED + trial.seed,
        structure=trial.structure,
        clock=StepClock(),
    )
    return measure(train_decoder(config, ablation.grounding, ablation.tracker, on_log), ablation)


class StepClock:
    """A clock that counts steps instead of seconds: `Trainer` reads it at the start and after each step."""

    def __init__(self) -> None:
        self._reads = 0

    def __call__(self) -> float:
        """Return the number of steps since the start."""
        self._reads += 1
        return float(self._reads - 1)


class _CellStore:
    """The cells of an ablation on disk."""

    def __init__(self, ablation: Ablation) -> None:
        self._path = ablation.directory / "cells.json"
        self.budget = {
            "reader": _digest(ablation.grounding),
            "tracker": _digest(ablation.tracker),
            "steps": ablation.steps,
            "level": ablation.level.name,
            "scenes": ablation.scenes,
        }
        self.cells: list[Cell] = []
        if self._path.is_file():
            stored = json.loads(self._path.read_text())
            if stored["budget"] != self.budget:
                raise Conflict(
                    f"{self._path} holds trials of {stored['budget']}, not of {self.budget}.",
                    remedy="Choose another folder.",
                )
            self.cells = [Cell(cell["arm"], cell["seed"], Fit(**cell["fit"])) for cell in stored["cells"]]

    def contains(self, arm: str, seed: int) -> bool:
        """Return whether the trial is finished."""
        return any((cell.arm, cell.seed) == (arm, seed) for cell in self.cells)

    def add(self, cell: Cell) -> None:
        """Add a cell: write a new file beside the old one and rename it over that."""
        self.cells.append(cell)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        partial = self._path.with_suffix(".partial")
        content = {"budget": self.budget, "cells": [asdict(cell) for cell in self.cells]}
        partial.write_text(json.dumps(content, indent=2) + "\n")
        partial.replace(self._path)


def _digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()[:16]


def _spread(values: Sequence[float]) -> Spread:
    return Spread(mean(values), stdev(values) if len(values) > 1 else None)
