"""A picture of the bench: a bar for each way to track, its length a frame's time, made of its parts. SVG."""

from __future__ import annotations

from typing import Final

from lab.benchmarks.tracker import BenchReport, BenchRow
from lab.evaluation import svg

COLOURS: Final = (*svg.COLOURS[:3], "#b0b0b0")
"By part, in a row's order; a grey for the rest."
BAR: Final = 18
GAP: Final = 8
"Between bars; everything here in SVG's pixels."
LABELS: Final = 220
WIDTH: Final = 480
FIGURES: Final = 170
TOP: Final = 64


def draw_bench(report: BenchReport) -> str:
    """An SVG picture; bars share one scale."""
    longest_ms = max((row.frame_ms for row in report.rows), default=0.0) or 1.0
    width, height = LABELS + WIDTH + FIGURES, TOP + len(report.rows) * (BAR + GAP) + GAP
    title = (
        f"{report.model} at {report.side_px} px, {report.threads} thread(s) of {report.device}: ms a frame"
    )
    shapes = [svg.text(GAP, 22, title, size=14)]
    for place, part in enumerate(report.rows[0].parts_ms if report.rows else ()):
        x = LABELS + 110 * place
        shapes += [svg.bar((x, 36), 12, 12, COLOURS[place]), svg.text(x + 18, 46, part)]
    for place, row in enumerate(report.rows):
        shapes += _row(row, TOP + place * (BAR + GAP), WIDTH / longest_ms)
    return svg.picture(width, height, shapes)


def _row(row: BenchRow, top: float, scale: float) -> list[str]:
    middle = top + BAR - 5
    shapes = [svg.text(GAP, middle, f"{row.engine}, {row.precision}, {row.objects} object(s)")]
    x = float(LABELS)
    for colour, spent_ms in zip(COLOURS, row.parts_ms.values(), strict=True):
        # Medians of parts need not add up to the whole's.
        wide = max(0.0, spent_ms) * row.frame_ms / (sum(map(abs, row.parts_ms.values())) or 1.0) * scale
        shapes.append(svg.bar((x, top), wide, BAR, colour))
        x += wide
    ratios = ", ".join(f"{times:.2f}× {peer}" for peer, times in row.times_as_fast.items())
    return [*shapes, svg.text(x + 6, middle, f"{row.frame_ms:.1f} {f'({ratios})' if ratios else ''}")]
