"""The course of a run: steps until its time is spent, told, saved and exported on the way and at its end.

Time is the schedule: what a step does follows from the share of the budget that is spent, so that a slower
machine ends at the same place, earlier in steps.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, fields, replace
from itertools import count
from pathlib import Path
from typing import Any

from lab.training.checkpoint import Checkpoint, Progress, Stateful
from lab.training.world.levels import CURRICULUM, Level

Figures = dict[str, float]
Told = dict[str, Any]
"""Figures with the `step` and the `elapsed_s` at which they were true, and, beside a `rung`, the `level`'s
name."""
Tell = Callable[[Told], None]


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a stage; the same `directory` resumes it."""

    directory: Path
    "Holds last.pt and log.jsonl."
    _: KW_ONLY
    budget_s: float
    "Time to train, earlier sessions of the run included."
    export: Path | None = None
    "Where the newest weights go in the published layout; None: nowhere."
    levels: tuple[Level, ...] = CURRICULUM
    "Of the world it draws, one after the other, each when the one before is mastered."
    gate: float = 0.75
    "The held-out score that opens the next level."
    number: int = 1
    "The first weights and everything drawn follow from it."
    tell_steps: int = 20
    "Steps between two words."
    checkpoint_s: float = 60.0
    export_s: float = 300.0

    def share(self, progress: Progress) -> float:
        """0..1 of the budget."""
        return min(progress.spent_s / self.budget_s, 1.0)


class Course:
    """A run on its way. What has to survive an interruption is in `parts`."""

    def __init__(
        self,
        run: Run,
        parts: Mapping[str, Stateful],
        tell: Tell,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Resume where the run's directory holds a checkpoint. Raises CheckpointError.

        Every session begins in the log with what it was asked for: everything that it draws follows from
        `number`, `session` and the steps from `from_step` on.
        """
        run.directory.mkdir(parents=True, exist_ok=True)
        self._run = run
        self._heard_by = tell
        self._clock = clock
        self._checkpoint = Checkpoint(run.directory / "last.pt", parts)
        self.progress = self._checkpoint.resume()
        self._log({"session": self.progress.session, "from_step": self.progress.step, **_asked(run)})

    def steps(self) -> Iterator[int]:
        """The numbers of the steps to come, without end."""
        return count(self.progress.step)

    def run(self, take_step: Callable[[Progress], Figures], export: Callable[[Path], None]) -> None:
        """Take steps until the budget is spent. Interrupted, it loses what came after the last checkpoint."""
        started_s = self._clock() - self.progress.spent_s
        saving = Every(self._run.checkpoint_s, self.progress.spent_s)
        exporting = Every(self._run.export_s, self.progress.spent_s)
        tally = Tally()
        while self.progress.spent_s < self._run.budget_s:
            tally.add(take_step(self.progress))
            spent_s = self._clock() - started_s
            self.progress = replace(self.progress, step=self.progress.step + 1, spent_s=spent_s)
            if self.progress.step % self._run.tell_steps == 0:
                self.tell(tally.take())
            if saving.strikes(spent_s):
                self._checkpoint.save(self.progress)
            if exporting.strikes(spent_s):
                self._export(export)
        self._checkpoint.save(self.progress)
        self._export(export)

    def tell(self, figures: Figures) -> None:
        """Say figures of the present step, and keep them in the log."""
        told: Told = {"step": self.progress.step, "elapsed_s": round(self.progress.spent_s, 1), **figures}
        if "rung" in figures:
            told["level"] = self._run.levels[int(figures["rung"])].name
        self._log({name: round(v, 4) if isinstance(v, float) else v for name, v in told.items()})
        self._heard_by(told)

    def _export(self, export: Callable[[Path], None]) -> None:
        if self._run.export is not None:
            export(self._run.export)

    def _log(self, entry: Mapping[str, Any]) -> None:
        with (self._run.directory / "log.jsonl").open("a") as log:
            log.write(json.dumps(entry, default=str) + "\n")


def _asked(run: Run) -> dict[str, Any]:
    """What a run was asked for; levels by their names, seeds tell the rest of them."""
    asked = {field.name: getattr(run, field.name) for field in fields(run)}
    return asked | {"levels": [level.name for level in run.levels]}


class Every:
    """A clock that strikes when so much time has passed since it last did."""

    def __init__(self, interval_s: float, now_s: float) -> None:
        self._interval_s = interval_s
        self._due_s = now_s + interval_s

    def strikes(self, now_s: float) -> bool:
        """Whether it strikes now; then not again until the interval has passed."""
        if now_s < self._due_s:
            return False
        self._due_s = now_s + self._interval_s
        return True


class Tally:
    """Figures of the steps since they were last taken, as rates.

    A rate is the sum of `name` over that of `name/n`; over the number of steps where there is no such count.
    """

    def __init__(self) -> None:
        self._sums: defaultdict[str, float] = defaultdict(float)
        self._steps = 0

    def add(self, figures: Figures) -> None:
        """Take in a step."""
        self._steps += 1
        for name, value in figures.items():
            self._sums[name] += value

    def take(self) -> Figures:
        """The rates, and begin again; of nothing counted the rate is 0."""
        rates = {
            name: total / max(self._sums.get(f"{name}/n", self._steps), 1)
            for name, total in self._sums.items()
            if not name.endswith("/n")
        }
        self._sums.clear()
        self._steps = 0
        return rates
