"""Plot of the tracker benchmark: a bar per row, as long as its time per frame, divided into its parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lab.benchmarks.tracker import BenchReport, BenchRow
from lab.plotting import COLOURS, render_svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PART_COLOURS: Final = (*COLOURS[:3], "#b0b0b0")
"In the order of a row's parts; grey for the rest of the frame."
_ROW_PX: Final = 26
_MARGIN_PX: Final = 120
"Title, axis and legend."


def plot_tracker(report: BenchReport) -> str:
    """Return an SVG file's text. Raises BackendUnavailable where matplotlib is not installed."""
    height_px = _MARGIN_PX + _ROW_PX * max(1, len(report.rows))
    return render_svg(lambda figure: draw_tracker(figure, report), width_px=870, height_px=height_px)


def draw_tracker(figure: Figure, report: BenchReport) -> None:
    """Draw the rows from top to bottom on a common axis."""
    axes = figure.subplots()
    rows = range(len(report.rows))
    lengths_ms = [_part_lengths_ms(row) for row in report.rows]
    left_ms = [0.0 for _ in rows]
    for part, colour in zip(report.rows[0].parts_ms if rows else (), PART_COLOURS, strict=False):
        parts_ms = [lengths[part] for lengths in lengths_ms]
        axes.barh(rows, parts_ms, left=left_ms, height=0.7, color=colour, label=part)
        left_ms = [left + length for left, length in zip(left_ms, parts_ms, strict=True)]
    for row, end_ms, bench in zip(rows, left_ms, report.rows, strict=True):
        axes.annotate(_figures(bench), (end_ms, row), xytext=(6, 0), textcoords="offset points", va="center")
    axes.set_yticks(rows, [f"{row.engine}, {row.precision}, {row.objects} object(s)" for row in report.rows])
    axes.invert_yaxis()
    axes.margins(x=0.35)
    axes.set_xlim(left=0)
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", visible=True)
    axes.set_xlabel("ms per frame")
    threads = f"{report.threads} thread(s) of {report.device}"
    axes.set_title(f"{report.model} at {report.side_px} px, {threads}")
    if rows:
        figure.legend(loc="outside lower left", ncols=len(PART_COLOURS))


def _part_lengths_ms(row: BenchRow) -> dict[str, float]:
    """Scale the parts so that they sum up to the frame's time: medians of parts need not."""
    total_ms = sum(map(abs, row.parts_ms.values())) or 1.0
    return {part: max(0.0, part_ms) * row.frame_ms / total_ms for part, part_ms in row.parts_ms.items()}


def _figures(row: BenchRow) -> str:
    ratios = ", ".join(f"{times:.2f}× {baseline}" for baseline, times in row.times_as_fast.items())
    return f"{row.frame_ms:.1f}" + (f" ({ratios})" if ratios else "")
