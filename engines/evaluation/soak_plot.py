"""The picture of a soak: memory resident in every engine's process over the frames it followed, as SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from engines import svg
from engines.evaluation.soak import THEIRS, SoakReport, SoakRun
from engines.svg import COLOURS

WIDTH: Final = 640
HEIGHT: Final = 280
"Of the panel; everything here in SVG's pixels."
LEFT: Final = 70
TOP: Final = 52
FOOT: Final = 52
RIGHT: Final = 24
TICKS: Final = 6
"About so many on an axis."
MIB: Final = 2**20


def draw_soak(report: SoakReport) -> str:
    """An SVG picture of all runs."""
    samples = [one for run in report.runs for one in run.samples]
    across = max(one.frames for one in samples)
    up = max(one.resident_bytes for one in samples) / MIB * 1.05
    title = f"Memory resident while {report.plan.objects} objects are followed, {report.plan.model}, MiB"
    shapes = [svg.text(LEFT, 20, title, size=13)]
    for value in _ticks(up):
        y = _y(value, up)
        shapes += [
            svg.line((LEFT, y), (LEFT + WIDTH, y), "#e5e5e5"),
            svg.text(LEFT - 6, y + 4, f"{value:g}", anchor="end"),
        ]
    for value in _ticks(across):
        x = _x(value, across)
        shapes += [
            svg.line((x, TOP + HEIGHT), (x, TOP + HEIGHT + 4), "#888"),
            svg.text(x, TOP + HEIGHT + 16, f"{value:,.0f}", anchor="middle"),
        ]
    shapes.append(svg.line((LEFT, TOP + HEIGHT), (LEFT + WIDTH, TOP + HEIGHT), "#888"))
    shapes.append(svg.text(LEFT + WIDTH, TOP + HEIGHT + 34, "frames", anchor="end"))
    for place, (run, colour) in enumerate(zip(report.runs, COLOURS, strict=False)):
        places = [(_x(one.frames, across), _y(one.resident_bytes / MIB, up)) for one in run.samples]
        shapes.append(svg.curve(places, colour))
        shapes += _legend(run, colour, place)
        if run.stopped:
            x, y = places[-1]
            shapes.append(svg.curve([(x, y)], colour))
            shapes.append(svg.text(x + 8, y + 4, f"stopped after {run.samples[-1].frames:,} frames"))
    return svg.picture(LEFT + WIDTH + RIGHT, TOP + HEIGHT + FOOT, shapes)


def told(run: SoakRun) -> str:
    """A run in one line."""
    whose = "transformers' session" if run.engine == THEIRS else f"Saccade, {run.engine}"
    return f"{whose}: {run.bytes_per_frame / 1024:+,.2f} KiB a frame"


def _legend(run: SoakRun, colour: str, place: int) -> list[str]:
    x, y = LEFT + place * (WIDTH + RIGHT) / 3, TOP - 12
    return [svg.line((x, y - 4), (x + 16, y - 4), colour), svg.text(x + 21, y, told(run))]


def _x(frames: float, across: float) -> float:
    return LEFT + WIDTH * frames / across


def _y(mib: float, up: float) -> float:
    return TOP + HEIGHT * (1 - mib / up)


def _ticks(end: float) -> Sequence[float]:
    """Round values from 0 to the end, few enough to be read."""
    power = 10.0 ** math.floor(math.log10(end / TICKS))
    step = next(power * k for k in (1, 2, 5, 10) if end / (power * k) <= TICKS)
    return [step * k for k in range(int(end // step) + 1)]
