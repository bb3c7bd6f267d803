"""The trainer of every stage: steps until the time budget is spent, with metrics, checkpoints and exports.

Time is the schedule: what a step does follows from the share of the budget that is spent, so a slower machine
ends at the same place of every schedule, after fewer steps.

A run's directory holds last.pt (`checkpoint.Checkpoint`) and log.jsonl, one JSON object a line:

    {"session", "from_step", all fields of the config}    once a session
    {"step", "elapsed_s", "loss", metrics}                every `log_steps` steps: means since the last line
    {"step", "elapsed_s", "level", metrics}               a held-out validation on a level of the curriculum
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

Metrics = dict[str, float]
"""Values by name; of a step, `name/n` is the count over which the sum `name` is averaged (`MetricMeans`)."""
LogEntry = dict[str, Any]
"""Metrics with `step` and `elapsed_s`; those of a validation have the name of its `level`, too."""
OnLog = Callable[[LogEntry], None]
"""Is called with every entry of metrics after it is written to the log."""


@dataclass(frozen=True, slots=True)
class RunConfig:
    """Settings of a training run of one stage. The same `directory` resumes it."""

    directory: Path
    "Folder of last.pt and log.jsonl."
    _: KW_ONLY
    budget_s: float
    "Seconds to train, of all sessions."
    export: Path | None = None
    "Folder that the newest weights are exported to in the published layout; None exports nothing."
    levels: tuple[Level, ...] = CURRICULUM
    "The curriculum."
    promotion_score: float = 0.75
    "Held-out score, 0..1, that opens the next level; infinite: never."
    seed: int = 1
    "Seed of the initial weights and of all samples."
    log_steps: int = 20
    "Steps between two entries of the log."
    checkpoint_s: float = 60.0
    "Seconds of training between two checkpoints."
    export_s: float = 300.0
    "Seconds of training between two exports."

    def spent_share(self, progress: Progress) -> float:
        """Return the share 0..1 of the budget that is spent."""
        return min(progress.spent_s / self.budget_s, 1.0)


class Trainer:
    """The loop of a run. `parts` is what a checkpoint holds."""

    def __init__(
        self,
        config: RunConfig,
        parts: Mapping[str, Stateful],
        on_log: OnLog,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Resume from the directory's checkpoint where there is one. Raises CheckpointError.

        All samples of a session follow from `seed`, `session` and the steps from `from_step` on, which the
        log records.
        """
        config.directory.mkdir(parents=True, exist_ok=True)
        self._config = config
        self._on_log = on_log
        self._clock = clock
        self._checkpoint = Checkpoint(config.directory / "last.pt", parts)
        self.progress = self._checkpoint.resume()
        session = {"session": self.progress.session, "from_step": self.progress.step}
        self._write_log(session | _as_logged(config))

    def upcoming_steps(self) -> Iterator[int]:
        """Yield the numbers of all steps from the next on, without end."""
        return count(self.progress.step)

    def run(self, take_step: Callable[[Progress], Metrics], export: Callable[[Path], None]) -> None:
        """Take steps until the budget is spent, then save and export.

        An exception, KeyboardInterrupt included, leaves the last checkpoint, at most `checkpoint_s` old.
        """
        started_s = self._clock() - self.progress.spent_s
        save_timer = Timer(self._config.checkpoint_s, self.progress.spent_s)
        export_timer = Timer(self._config.export_s, self.progress.spent_s)
        means = MetricMeans()
        while self.progress.spent_s < self._config.budget_s:
            means.add(take_step(self.progress))
            spent_s = self._clock() - started_s
            self.progress = replace(self.progress, step=self.progress.step + 1, spent_s=spent_s)
            if self.progress.step % self._config.log_steps == 0:
                self.log(means.pop())
            if save_timer.is_due(spent_s):
                self._checkpoint.save(self.progress)
            if export_timer.is_due(spent_s):
                self._export(export)
        self._checkpoint.save(self.progress)
        self._export(export)

    def log(self, metrics: Metrics) -> None:
        """Log metrics of training, at the step of now."""
        self._log_entry(metrics)

    def log_validation(self, metrics: Metrics, level: Level) -> None:
        """Log held-out metrics of a level."""
        self._log_entry({**metrics, "level": level.name})

    def _log_entry(self, metrics: Mapping[str, Any]) -> None:
        entry: LogEntry = {
            "step": self.progress.step,
            "elapsed_s": round(self.progress.spent_s, 1),
            **metrics,
        }
        self._write_log({name: round(v, 4) if isinstance(v, float) else v for name, v in entry.items()})
        self._on_log(entry)

    def _export(self, export: Callable[[Path], None]) -> None:
        if self._config.export is not None:
            export(self._config.export)

    def _write_log(self, entry: Mapping[str, Any]) -> None:
        with (self._config.directory / "log.jsonl").open("a") as log:
            log.write(json.dumps(entry, default=str) + "\n")


def _as_logged(config: RunConfig) -> dict[str, Any]:
    """Return all fields of a config; levels by their names, which define the rest of them."""
    values = {field.name: getattr(config, field.name) for field in fields(config)}
    return values | {"levels": [level.name for level in config.levels]}


class Timer:
    """Is due when an interval has passed since it last was."""

    def __init__(self, interval_s: float, now_s: float) -> None:
        self._interval_s = interval_s
        self._due_s = now_s + interval_s

    def is_due(self, now_s: float) -> bool:
        """Return whether the interval has passed; if so, start the next interval now."""
        if now_s < self._due_s:
            return False
        self._due_s = now_s + self._interval_s
        return True


class MetricMeans:
    """Means of the metrics of several steps.

    The mean of `name` is its sum over that of `name/n`, or over the number of steps where there is no such
    count.
    """

    def __init__(self) -> None:
        self._sums: defaultdict[str, float] = defaultdict(float)
        self._steps = 0

    def add(self, metrics: Metrics) -> None:
        """Add the metrics of a step."""
        self._steps += 1
        for name, value in metrics.items():
            self._sums[name] += value

    def pop(self) -> Metrics:
        """Return the means and reset; 0 where a count is 0."""
        means = {
            name: total / max(self._sums.get(f"{name}/n", self._steps), 1)
            for name, total in self._sums.items()
            if not name.endswith("/n")
        }
        self._sums.clear()
        self._steps = 0
        return means
