"""What the structure-aware terms are worth: stage `decoder` with and without them, everything else the same.

Every arm is trained from the same reader, for the same number of steps, with the same seeds: of one seed,
arms share first weights and every picture. So the gain over the first arm is told seed by seed, too, which
takes out what a seed does to all arms alike. A cell, one arm with one seed, is kept as soon as it is
measured; called again, the ablation goes on with those that are missing.
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
from lab.training.curriculum import Ladder
from lab.training.grounding_recipe import GroundingRun, train_decoder
from lab.training.structure_losses import BOUNDARY_WEIGHT, CONTRAST_WEIGHT, Structure
from lab.training.trainer import Tell
from lab.training.world.levels import NANO_LEVEL, CURRICULUM, Level
from streaming.errors import Conflict

_ALIGNED: Final = Structure(CONTRAST_WEIGHT, BOUNDARY_WEIGHT)
ARMS: Final = {
    "base": Structure(),
    "+ contrast and boundary": _ALIGNED,
    "+ mask-biased attention": replace(_ALIGNED, refinement=RefinementKind.MASK_BIASED_ATTENTION),
    "FiLM in its place": replace(_ALIGNED, refinement=RefinementKind.FILM),
}
"Each is compared with the first."
FIRST_NUMBER: Final = 2001
"Of the first seed's runs; far from those of the stages."


@dataclass(frozen=True, slots=True)
class Ablation:
    """What is trained, for how long, and on what it is measured."""

    reader: Path
    "Checkpoint of stage `grounding`, from which every trial starts ..."
    tracker: Path
    "... with the SAM-2 of this checkpoint of stage `tracker`."
    directory: Path = Path("runs/ablation")
    "Holds cells.json, and a folder for each trial."
    steps: int = 600
    "Of every trial."
    seeds: int = 3
    scenes: int = 100
    "Held-out, the same for every trial."
    level: Level = NANO_LEVEL
    "The reader's."


@dataclass(frozen=True, slots=True)
class Trial:
    """One arm with one seed."""

    arm: str
    "A name of `ARMS`."
    seed: int
    directory: Path
    """The trial's own. It is not there yet: an interrupted trial begins again, because a run that is resumed
    draws other pictures than it would have, and than the other arms do."""

    @property
    def structure(self) -> Structure:
        """What the arm adds."""
        return ARMS[self.arm]


@dataclass(frozen=True, slots=True)
class Cell:
    """A finished trial."""

    arm: str
    seed: int
    fit: Fit


@dataclass(frozen=True, slots=True)
class Spread:
    """A mean over seeds and the deviation of a sample between them."""

    mean: float
    sd: float | None
    "None of a single seed."


@dataclass(frozen=True, slots=True)
class Row:
    """What came of one arm."""

    arm: str
    j: float
    f: float
    j_and_f: Spread
    gain: Spread
    "Of J&F over the first arm, seed by seed."


@dataclass(frozen=True, slots=True)
class Report:
    """All of an ablation."""

    budget: dict[str, Any]
    rows: tuple[Row, ...]
    cells: tuple[Cell, ...]


def run_ablation(
    ablation: Ablation, run_trial: Callable[[Trial], Fit], tell: Callable[[Cell], None]
) -> Report:
    """Run every trial that is not kept, all arms of a seed before the next seed, and keep it at once.

    `tell` hears of every cell, those that were kept first. Raises Conflict where cells from other weights, of
    another level, or of another number of steps or scenes are kept. What `run_trial` raises ends the
    ablation, which may be called again.
    """
    kept = _Kept(ablation)
    for cell in kept.cells:
        tell(cell)
    for seed in range(ablation.seeds):
        for arm in ARMS:
            if not kept.holds(arm, seed):
                trial = Trial(arm, seed, ablation.directory / f"{list(ARMS).index(arm)}-{seed}")
                shutil.rmtree(trial.directory, ignore_errors=True)
                cell = Cell(arm, seed, run_trial(trial))
                kept.add(cell)
                tell(cell)
    cells = [cell for cell in kept.cells if cell.seed < ablation.seeds]
    return Report(kept.budget, summarise(cells), tuple(cells))


def summarise(cells: Sequence[Cell]) -> tuple[Row, ...]:
    """A row for every arm; the cells are of the same seeds in all arms."""
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
    """Ask for everything that is there in held-out scenes, and compare what is drawn.

    Everything is drawn, however improbable the model holds it: an ablation of drawing is not to depend on
    when a reader speaks.
    """
    grounder = SaGrounder(replace(checkpoint, config={**checkpoint.config, "presence_threshold": 0.0}))
    return score_grounder(grounder, draw_scenes(ablation.scenes, ablation.level)).overall


def level_of(reader: Path) -> Level:
    """The level that a reader has reached."""
    ladder = Ladder(CURRICULUM, math.inf)
    ladder.load_state_dict(torch.load(reader, weights_only=True, map_location="cpu")["ladder"])
    return ladder.level


def train_trial(ablation: Ablation, trial: Trial, tell: Tell) -> Fit:
    """One trial of stage `decoder`; its level stays that of its reader."""
    run = GroundingRun(
        trial.directory,
        budget_s=float(ablation.steps),
        gate=math.inf,
        judge_s=math.inf,
        number=FIRST_NUMBER + trial.seed,
        structure=trial.structure,
        clock=StepClock(),
    )
    return measure(train_decoder(run, ablation.reader, ablation.tracker, tell), ablation)


class StepClock:
    """A clock whose time is steps, for a `Course`, which asks once at the start and once after each step."""

    def __init__(self) -> None:
        self._asked = 0

    def __call__(self) -> float:
        """Steps since the start."""
        self._asked += 1
        return float(self._asked - 1)


class _Kept:
    """The cells on disk."""

    def __init__(self, ablation: Ablation) -> None:
        self._path = ablation.directory / "cells.json"
        self.budget = {
            "reader": _digest(ablation.reader),
            "tracker": _digest(ablation.tracker),
            "steps": ablation.steps,
            "level": ablation.level.name,
            "scenes": ablation.scenes,
        }
        self.cells: list[Cell] = []
        if self._path.is_file():
            kept = json.loads(self._path.read_text())
            if kept["budget"] != self.budget:
                raise Conflict(
                    f"{self._path} holds trials of {kept['budget']}, not of {self.budget}.",
                    remedy="Choose another folder.",
                )
            self.cells = [Cell(cell["arm"], cell["seed"], Fit(**cell["fit"])) for cell in kept["cells"]]

    def holds(self, arm: str, seed: int) -> bool:
        """Whether this trial is finished."""
        return any((cell.arm, cell.seed) == (arm, seed) for cell in self.cells)

    def add(self, cell: Cell) -> None:
        """Keep one more, by writing beside the old file and renaming over it."""
        self.cells.append(cell)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        partial = self._path.with_suffix(".partial")
        kept = {"budget": self.budget, "cells": [asdict(cell) for cell in self.cells]}
        partial.write_text(json.dumps(kept, indent=2) + "\n")
        partial.replace(self._path)


def _digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()[:16]


def _spread(values: Sequence[float]) -> Spread:
    return Spread(mean(values), stdev(values) if len(values) > 1 else None)
