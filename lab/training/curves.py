"""A picture of training: loss and held-out scores over time, a row for each stage, as SVG.

Read from the stages' log.jsonl alone, so it can be drawn of a run on its way.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lab.evaluation import svg
from lab.evaluation.svg import COLOURS
from streaming.errors import NotFound

CURVES: Final = "curves.svg"
"In a folder of runs: their picture."
SCORES: Final = {
    "j": "J, followed",
    "held_out_hit": "pointed right",
    "held_out_kind": "kinds named",
    "silent": "silent while away",
    "found_again": "found again",
    "held_out_j": "J, drawn",
    "held_out_said": "words right",
    "held_out_said_present": "present answered",
    "held_out_said_absent": "absent refused",
    "held_out_said_count": "counted right",
    "held_out_said_caption": "captions, words right",
}
"""Held-out figures 0..1 that are shown. The first of them that a stage has opens its gates."""

Points = tuple[tuple[float, float], ...]
"""Time trained, s, and a value."""


@dataclass(frozen=True, slots=True)
class History:
    """What one stage's log tells."""

    stage: str
    losses: Points
    scores: Mapping[str, Points]
    "By label; of the level that was learnt then."
    levels: tuple[tuple[float, str], ...]
    "From when on, s, and which."
    gate: float | None
    "The score that opens the next level; None where nothing is measured."


def headline(told: Mapping[str, Any]) -> tuple[str, float] | None:
    """The held-out score that opens gates, with its label; None where nothing was measured."""
    if "rung" not in told:
        return None
    return next(((label, float(told[name])) for name, label in SCORES.items() if name in told), None)


def read_history(stage: str, lines: Iterable[str]) -> History:
    """From the lines of a log.jsonl. Raises ValueError for a line that is no JSON."""
    entries = _kept([json.loads(line) for line in lines])
    judged = [entry for entry in entries if "rung" in entry]
    scores = {label: _points(judged, name) for name, label in SCORES.items()}
    levels: list[tuple[float, str]] = []
    passed_s = 0.0
    for entry in judged:
        name = str(entry.get("level", f"rung {entry['rung']}"))  # a log of before levels were named
        if not levels or levels[-1][1] != name:
            levels.append((passed_s, name))  # opened by the score before
        passed_s = float(entry["elapsed_s"])
    gates = [float(entry["gate"]) for entry in entries if "gate" in entry]
    return History(
        stage=stage,
        losses=_points(entries, "loss"),
        scores={label: points for label, points in scores.items() if points},
        levels=tuple(levels),
        gate=gates[-1] if judged and gates else None,
    )


def _kept(entries: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Without what was told after the last checkpoint of a session that was stopped: the next took those
    steps again."""
    kept: list[Mapping[str, Any]] = []
    for entry in entries:
        if "from_step" in entry:
            kept = [earlier for earlier in kept if earlier.get("step", 0) <= entry["from_step"]]
        kept.append(entry)
    return kept


def _points(entries: Iterable[Mapping[str, Any]], name: str) -> Points:
    """A score of no case (of things found again where nothing left) is not a number: left out."""
    pairs = ((float(entry["elapsed_s"]), float(entry[name])) for entry in entries if name in entry)
    return tuple(pair for pair in pairs if math.isfinite(pair[1]))


def draw_runs(directories: Iterable[Path], picture: Path) -> None:
    """Draw what is told by the log.jsonl in each of these folders. Raises NotFound where one has none."""
    histories = []
    for directory in directories:
        log = directory / "log.jsonl"
        if not log.is_file():
            raise NotFound(f"There is no {log}.", remedy="Name folders that `saccade train` has written.")
        whole_lines, _, _ = log.read_text().rpartition("\n")  # the last may be half written
        histories.append(read_history(directory.name, whole_lines.splitlines()))
    picture.parent.mkdir(parents=True, exist_ok=True)
    picture.write_text(draw(histories))


# --- drawing --------------------------------------------------------------------------------------

WIDTH: Final = 420
HEIGHT: Final = 190
"Of a panel, within its margins; everything here in SVG's pixels."
MARGIN_X: Final = 62
MARGIN_Y: Final = 48
LEGEND_X: Final = 150
TICKS: Final = 6
"At most, along time."
TIME_STEPS_S: Final = tuple(60 * m for m in (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1440, 4320, 10080))


@dataclass(frozen=True, slots=True)
class _Panel:
    """From time and value to a place in the picture."""

    left: float
    top: float
    span_s: float
    low: float
    high: float

    def x(self, time_s: float) -> float:
        return self.left + WIDTH * time_s / self.span_s

    def y(self, value: float) -> float:
        return self.top + HEIGHT * (self.high - value) / (self.high - self.low)

    def curve(self, points: Points, colour: str) -> str:
        """A line through the points; a lone one is a dot."""
        return svg.curve([(self.x(time_s), self.y(value)) for time_s, value in points], colour)

    def frame(self, title: str, ticks: Mapping[float, str]) -> list[str]:
        """Title, axes, and a faint line at every tick."""
        shapes = [svg.text(self.left, self.top - 26, title, size=13)]
        for value, label in ticks.items():
            shapes.append(svg.line((self.left, self.y(value)), (self.left + WIDTH, self.y(value)), "#e5e5e5"))
            shapes.append(svg.text(self.left - 6, self.y(value) + 4, label, anchor="end"))
        foot = self.top + HEIGHT
        for time_s, label in _time_ticks(self.span_s).items():
            shapes.append(svg.line((self.x(time_s), foot), (self.x(time_s), foot + 4), "#888"))
            shapes.append(svg.text(self.x(time_s), foot + 16, label, anchor="middle"))
        shapes.append(svg.line((self.left, foot), (self.left + WIDTH, foot), "#888"))
        return shapes


def draw(histories: Sequence[History]) -> str:
    """An SVG picture with a row for each stage: its loss to the left, its held-out scores to the right."""
    row_height = HEIGHT + 2 * MARGIN_Y
    width, height = 2 * (MARGIN_X + WIDTH) + LEGEND_X, max(len(histories), 1) * row_height
    shapes: list[str] = []
    for row, history in enumerate(histories):
        top, span_s = row * row_height + MARGIN_Y, _span_s(history)
        shapes += _losses(history, top, span_s)
        shapes += _scores(history, top, span_s)
    return svg.picture(width, height, shapes)


def _span_s(history: History) -> float:
    """How long the stage was trained; a second where nothing was told yet."""
    told = [points[-1][0] for points in (history.losses, *history.scores.values()) if points]
    return max(told, default=0.0) or 1.0


def _losses(history: History, top: float, span_s: float) -> list[str]:
    """Losses fall by factors: their axis is logarithmic."""
    logs = tuple((time_s, math.log10(loss)) for time_s, loss in history.losses if loss > 0)
    values = [value for _, value in logs] or [0.0]
    panel = _Panel(MARGIN_X, top, span_s, min(values) - 0.05, max(values) + 0.05)
    ticks = {value: label for value, label in _LOSS_TICKS.items() if panel.low <= value <= panel.high}
    shapes = panel.frame(f"{history.stage}: loss", ticks)
    return [*shapes, panel.curve(logs, COLOURS[0])] if logs else shapes


def _scores(history: History, top: float, span_s: float) -> list[str]:
    """Held-out scores, the gate as a dashed line, and where each level began."""
    panel = _Panel(2 * MARGIN_X + WIDTH, top, span_s, 0.0, 1.0)
    right = panel.left + WIDTH
    shapes = panel.frame(f"{history.stage}: held out", {k / 5: f"{k / 5:.1f}" for k in range(6)})
    for time_s, name in history.levels:
        x = panel.x(time_s)
        shapes.append(svg.line((x, top), (x, top + HEIGHT), "#bbb", dash="2 3"))
        shapes.append(svg.text(x, top - 6, name))
    for index, (label, points) in enumerate(history.scores.items()):
        colour, y = COLOURS[index % len(COLOURS)], top + 10 + 16 * index
        shapes.append(panel.curve(points, colour))
        shapes.append(svg.line((right + 8, y - 4), (right + 24, y - 4), colour))
        shapes.append(svg.text(right + 29, y, label))
    if history.gate is not None and history.gate <= 1:
        y = panel.y(history.gate)
        shapes.append(svg.line((panel.left, y), (right, y), COLOURS[0], dash="6 4"))
    return shapes


_LOSS_TICKS: Final = {math.log10(d * 10.0**k): f"{d * 10.0**k:g}" for k in range(-4, 4) for d in (1, 2, 5)}


def _time_ticks(span_s: float) -> dict[float, str]:
    """Round times from 0 to the span, few enough to be read."""
    step_s = next((step for step in TIME_STEPS_S if span_s / step < TICKS), TIME_STEPS_S[-1])
    unit_s, unit = (3600, "h") if span_s > 7200 else (60, "min")
    times = [step_s * k for k in range(int(span_s // step_s) + 1)]
    return {float(time_s): f"{time_s / unit_s:g} {unit}" for time_s in times}
