"""Plot of a soak benchmark: resident memory of every engine's process over the frames that it tracked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lab.benchmarks.soak import TRANSFORMERS, SoakReport, SoakRun
from lab.plotting import COLOURS, render_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MIB: Final = 2**20


def plot_soak(report: SoakReport) -> str:
    """Return an SVG file's text. Raises BackendUnavailable where matplotlib is not installed."""
    return render_svg(lambda figure: draw_soak(figure, report), width_px=734, height_px=420)


def draw_soak(figure: Figure, report: SoakReport) -> None:
    """Draw all runs on common axes; a run that was stopped ends in a dot with the number of its frames."""
    axes = figure.subplots()
    for number, run in enumerate(report.runs):
        _draw_run(axes, run, COLOURS[number % len(COLOURS)])
    axes.set_title(f"Resident memory while tracking {report.plan.objects} objects, {report.plan.model}")
    axes.set_xlabel("frames")
    axes.set_ylabel("MiB")
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    figure.legend(loc="outside lower left", ncols=2)


def run_label(run: SoakRun) -> str:
    """Return a run's engine and slope in a line."""
    name = "transformers' session" if run.engine == TRANSFORMERS else f"Saccade, {run.engine}"
    return f"{name}: {run.bytes_per_frame / 1024:+,.2f} KiB per frame"


def _draw_run(axes: Axes, run: SoakRun, colour: str) -> None:
    frames = [sample.frames for sample in run.samples]
    mib = [sample.resident_bytes / _MIB for sample in run.samples]
    axes.plot(frames, mib, color=colour, label=run_label(run))
    if run.stopped:
        axes.plot(frames[-1:], mib[-1:], marker="o", color=colour)
        words = f"stopped after {frames[-1]:,} frames"
        axes.annotate(words, (frames[-1], mib[-1]), xytext=(8, -4), textcoords="offset points")
