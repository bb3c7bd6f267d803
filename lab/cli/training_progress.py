"""Progress of a training in the terminal: a bar per stage, a line per held-out score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from lab.training.curves import headline


@dataclass(slots=True)
class _Stage:
    """A stage's bar and its last figures."""

    bar: TaskID
    budget_s: float
    loss: str = ""
    score: str = ""
    "With its level."


class TrainingView:
    """Shows stages within the context of `bars`."""

    def __init__(self, console: Console) -> None:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(20),
            TextColumn("{task.fields[left]}"),
            TextColumn("{task.fields[state]}"),
        )
        self.bars = Progress(*columns, console=console, transient=True)
        self._console = console
        self._stages: dict[str, _Stage] = {}

    def begin(self, stage: str, budget_s: float) -> None:
        """Add a bar for a stage with a time budget."""
        bar = self.bars.add_task(stage, total=budget_s, left="", state="")
        self._stages[stage] = _Stage(bar, budget_s)

    def show(self, stage: str, told: Mapping[str, Any]) -> None:
        """What a begun stage tells (`lab.training.trainer.LogEntry`)."""
        seen = self._stages[stage]
        if "loss" in told:
            seen.loss = f"loss {told['loss']:.3g}"
        if score := headline(told):
            label, value = score
            seen.score = f"level {told['level']}, {label} {value:.2f}"
            line = f"{stage}, step {told['step']}: {seen.score}  {seen.loss}"
            self._console.print(line, highlight=False, soft_wrap=True)
        left_s = max(seen.budget_s - told["elapsed_s"], 0.0)
        self.bars.update(
            seen.bar,
            completed=told["elapsed_s"],
            left=f"{timedelta(seconds=round(left_s))} left",
            state=f"{seen.loss}  {seen.score}",
        )

    def end(self, stage: str) -> None:
        """Fill a stage's bar."""
        seen = self._stages[stage]
        self.bars.update(seen.bar, completed=seen.budget_s, left="done")
