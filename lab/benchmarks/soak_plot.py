"""The picture of a soak: memory resident in every engine's process over the frames it followed, as SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from lab.benchmarks.soak import THEIRS, Sample, SoakReport, SoakRun
from lab.evaluation import svg
from lab.evaluation.svg import COLOURS

WIDTH: Final = 640
HEIGHT: Final = 280
"Of the panel; everything here in SVG's pixels."
LEFT: Final = 70
TOP: Final = 88
"Room for a title and three lines of legend."
FOOT: Final = 52
RIGHT: Final = 24
TICKS: Final = 6
"About so many on an axis."
MIB: Final = 2**20


@dataclass(frozen=True, slots=True)
class _Panel:
    """From frames and memory to a place in the picture."""

    frames: float
    "At the right end."
    mib: float
    "At the top."

    def place(self, sample: Sample) -> svg.Place:
        return self.x(sample.frames), self.y(sample.resident_bytes / MIB)

    def x(self, frames: float) -> float:
        return LEFT + WIDTH * frames / self.frames

    def y(self, mib: float) -> float:
        return TOP + HEIGHT * (1 - mib / self.mib)


def draw_soak(report: SoakReport) -> str:
    """An SVG picture of all runs."""
    samples = [one for run in report.runs for one in run.samples]
    most_mib = max(one.resident_bytes for one in samples) / MIB
    panel = _Panel(max(one.frames for one in samples), 1.05 * most_mib)
    title = f"Memory resident while {report.plan.objects} objects are followed, {report.plan.model}, MiB"
    shapes = [svg.text(LEFT, 20, title, size=13), *_axes(panel)]
    for place, (run, colour) in enumerate(zip(report.runs, COLOURS, strict=False)):
        shapes += [*_legend(run, colour, place), *_curve(run, colour, panel)]
    return svg.picture(LEFT + WIDTH + RIGHT, TOP + HEIGHT + FOOT, shapes)


def told(run: SoakRun) -> str:
    """A run in one line."""
    whose = "transformers' session" if run.engine == THEIRS else f"Saccade, {run.engine}"
    return f"{whose}: {run.bytes_per_frame / 1024:+,.2f} KiB a frame"


def _legend(run: SoakRun, colour: str, place: int) -> list[str]:
    x, y = LEFT + place % 2 * WIDTH / 2, 42 + place // 2 * 16
    return [svg.line((x, y - 4), (x + 16, y - 4), colour), svg.text(x + 21, y, told(run))]


def _axes(panel: _Panel) -> list[str]:
    foot, right = TOP + HEIGHT, LEFT + WIDTH
    shapes = []
    for mib in _ticks(panel.mib):
        y = panel.y(mib)
        shapes.append(svg.line((LEFT, y), (right, y), "#e5e5e5"))
        shapes.append(svg.text(LEFT - 6, y + 4, f"{mib:g}", anchor="end"))
    for frames in _ticks(panel.frames):
        x = panel.x(frames)
        shapes.append(svg.line((x, foot), (x, foot + 4), "#888"))
        shapes.append(svg.text(x, foot + 16, f"{frames:,.0f}", anchor="middle"))
    shapes.append(svg.line((LEFT, foot), (right, foot), "#888"))
    shapes.append(svg.text(right, foot + 34, "frames", anchor="end"))
    return shapes


def _curve(run: SoakRun, colour: str, panel: _Panel) -> list[str]:
    """Where it was stopped, a dot and since when."""
    last = run.samples[-1]
    shapes = [svg.curve(map(panel.place, run.samples), colour)]
    if run.stopped:
        x, y = panel.place(last)
        shapes.append(svg.curve([(x, y)], colour))
        shapes.append(svg.text(x + 8, y + 4, f"stopped after {last.frames:,} frames"))
    return shapes


def _ticks(end: float) -> Sequence[float]:
    """Round values from 0 to the end, few enough to be read."""
    power = 10.0 ** math.floor(math.log10(end / TICKS))
    step = next(power * k for k in (1, 2, 5, 10) if end / (power * k) <= TICKS)
    return [step * k for k in range(int(end // step) + 1)]
