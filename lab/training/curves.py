"""Training curves: loss and held-out scores over time as an SVG plot, a row for each stage.

They are read from log.jsonl alone (`trainer`), so a run in progress can be drawn, too.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lab.plotting import COLOURS, render_svg
from streaming.errors import BackendUnavailable, NotFound

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CURVES: Final = "curves.svg"
"Name of the plot in a folder of runs."
SCORES: Final = {
    "j": "J, tracked",
    "held_out_hit": "prompt on object",
    "held_out_category": "patch categories",
    "silent": "no mask while absent",
    "found_again": "found again",
    "held_out_j": "J, masks",
    "held_out_answer_tokens": "answer tokens",
    "held_out_answer_present": "present answered",
    "held_out_answer_absent": "absent refused",
    "held_out_answer_count": "counts",
    "held_out_answer_caption": "caption tokens",
}
"""Held-out metrics 0..1 that are drawn, with their labels. The first of them that a stage has is its headline
score, which opens the next level of the curriculum."""
WIDTH_PX: Final = 1100
ROW_HEIGHT_PX: Final = 290

_LOG = logging.getLogger(__name__)

Points = tuple[tuple[float, float], ...]
"Seconds of training and a value."


@dataclass(frozen=True, slots=True)
class History:
    """The curves of a stage."""

    stage: str
    losses: Points
    scores: Mapping[str, Points]
    "By label; of the level of that time."
    levels: tuple[tuple[float, str], ...]
    "When a level was begun, in seconds of training, and its name."
    promotion_score: float | None
    "The score that opens the next level; None where there are no validations."


def headline(entry: Mapping[str, Any]) -> tuple[str, float] | None:
    """Return the headline score of a log entry with its label; None where it is of no validation."""
    if "level" not in entry:
        return None
    return next(((label, float(entry[name])) for name, label in SCORES.items() if name in entry), None)


def read_history(stage: str, lines: Iterable[str]) -> History:
    """Read the lines of a log.jsonl. Raises ValueError for a line that is no JSON."""
    entries = _without_lost_steps([json.loads(line) for line in lines])
    validations = [entry for entry in entries if "level" in entry]
    scores = {label: _points(validations, name) for name, label in SCORES.items()}
    levels: list[tuple[float, str]] = []
    previous_s = 0.0
    for entry in validations:
        if not levels or levels[-1][1] != entry["level"]:
            levels.append((previous_s, str(entry["level"])))  # opened by the validation before
        previous_s = float(entry["elapsed_s"])
    thresholds = [float(entry["promotion_score"]) for entry in entries if "promotion_score" in entry]
    return History(
        stage=stage,
        losses=_points(entries, "loss"),
        scores={label: points for label, points in scores.items() if points},
        levels=tuple(levels),
        promotion_score=thresholds[-1] if validations and thresholds else None,
    )


def _without_lost_steps(entries: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Drop entries of steps after the last checkpoint of an interrupted session, which the next repeats."""
    valid: list[Mapping[str, Any]] = []
    for entry in entries:
        if "from_step" in entry:
            valid = [earlier for earlier in valid if earlier.get("step", 0) <= entry["from_step"]]
        valid.append(entry)
    return valid


def _points(entries: Iterable[Mapping[str, Any]], name: str) -> Points:
    """Return a metric over time, without values that are not finite, which are means of no cases."""
    pairs = ((float(entry["elapsed_s"]), float(entry[name])) for entry in entries if name in entry)
    return tuple(pair for pair in pairs if math.isfinite(pair[1]))


def draw_runs(directories: Iterable[Path], path: Path) -> None:
    """Draw the log.jsonl of each of these folders into an SVG file.

    Raises NotFound where a folder has no log, BackendUnavailable where matplotlib is not installed.
    """
    histories = []
    for directory in directories:
        log = directory / "log.jsonl"
        if not log.is_file():
            raise NotFound(f"There is no {log}.", remedy="Name folders that `saccade train` has written.")
        whole_lines, _, _ = log.read_text().rpartition("\n")  # the last line may be incomplete
        histories.append(read_history(directory.name, whole_lines.splitlines()))
    svg = plot_histories(histories)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(svg)


def draw_curves_if_possible(directories: Iterable[Path], path: Path) -> None:
    """Draw as `draw_runs` does; only warn where matplotlib is not installed. For the end of a training."""
    try:
        draw_runs(directories, path)
    except BackendUnavailable as exc:
        _LOG.warning("%s is not drawn. %s", path, exc)


# --- plot -----------------------------------------------------------------------------------------


def plot_histories(histories: Sequence[History]) -> str:
    """Return an SVG plot with a row for each stage: loss on the left, held-out scores on the right."""
    height = max(len(histories), 1) * ROW_HEIGHT_PX
    return render_svg(partial(_draw_figure, histories), width_px=WIDTH_PX, height_px=height)


def _draw_figure(histories: Sequence[History], figure: Figure) -> None:
    if not histories:
        return
    for history, (left, right) in zip(
        histories, figure.subplots(len(histories), 2, squeeze=False), strict=True
    ):
        _draw_losses(left, history)
        _draw_scores(right, history)
        for axes in (left, right):
            _label_time(axes, _duration_s(history))


def _draw_losses(axes: Axes, history: History) -> None:
    """Draw positive losses on a logarithmic axis with ticks at 1, 2 and 5 times powers of ten."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axes.set_title(f"{history.stage}: loss")
    points = [(time_s, loss) for time_s, loss in history.losses if loss > 0]
    if points:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda loss, _: f"{loss:g}"))
        _draw_curve(axes, points, color=COLOURS[0])


def _draw_scores(axes: Axes, history: History) -> None:
    """Draw held-out scores, the promotion score as a dashed line, and where levels begin as dotted lines."""
    axes.set_title(f"{history.stage}: held out", pad=20)
    axes.set_ylim(0, 1)
    for time_s, name in history.levels:
        axes.axvline(time_s, color="#bbbbbb", linestyle=":", linewidth=1)
        axes.annotate(
            name, (time_s, 1), xytext=(0, 4), textcoords="offset points", fontsize=9, parse_math=False
        )
    for index, (label, points) in enumerate(history.scores.items()):
        _draw_curve(axes, points, color=COLOURS[index % len(COLOURS)], label=label)
    if history.promotion_score is not None and history.promotion_score <= 1:
        axes.axhline(history.promotion_score, color=COLOURS[0], linestyle="--", linewidth=1)
    if history.scores:
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=9)


def _draw_curve(axes: Axes, points: Sequence[tuple[float, float]], color: str, label: str = "") -> None:
    """Draw a line; a single point is a dot."""
    times_s, values = zip(*points, strict=True)
    axes.plot(times_s, values, marker="o" if len(points) == 1 else "", markersize=4, color=color, label=label)


def _duration_s(history: History) -> float:
    """Return how long the stage was trained; 1 s for an empty log."""
    last = [points[-1][0] for points in (history.losses, *history.scores.values()) if points]
    return max(last, default=0.0) or 1.0


def _label_time(axes: Axes, duration_s: float) -> None:
    """Let the time axis begin at 0 and count minutes, or hours from two hours on."""
    from matplotlib.ticker import FuncFormatter, MultipleLocator

    unit_s, unit = (3600, "h") if duration_s > 7200 else (60, "min")
    steps_s = [60 * minutes for minutes in (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1440, 4320, 10080)]
    step_s = next((step for step in steps_s if duration_s / step < 6), steps_s[-1])
    axes.set_xlim(0, duration_s)
    axes.xaxis.set_major_locator(MultipleLocator(step_s))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda time_s, _: f"{time_s / unit_s:g} {unit}"))
