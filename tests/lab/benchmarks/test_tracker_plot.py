"""The tracker benchmark's plot."""

from __future__ import annotations

import pytest

from lab.benchmarks.tracker import BenchReport, BenchRow
from lab.benchmarks.tracker_plot import draw_tracker, plot_tracker

figures = pytest.importorskip("matplotlib.figure")


def row(engine: str, frame_ms: float) -> BenchRow:
    parts_ms = {"encode": frame_ms / 2, "track": frame_ms / 4, "remember": frame_ms / 4, "other": 0.0}
    times, agreed = {"sam2": 20 / frame_ms}, {"sam2": 1.0}
    return BenchRow(engine, "float32", 1, frame_ms, 1e3 / frame_ms, parts_ms, times, 1.0, agreed, 1, 0, 0.5)


def report(*rows: BenchRow) -> BenchReport:
    return BenchReport("a<b", 512, 4, 1, "cpu", 0.1, rows)


def test_a_bar_is_as_long_as_the_frames_time_and_divided_into_its_parts() -> None:
    figure = figures.Figure()
    draw_tracker(figure, report(row("ours", 10.0), row("theirs", 20.0)))
    bars = [(bar.get_x(), bar.get_width()) for bar in figure.axes[0].patches]
    assert bars[::2] == [(0, 5), (5, 2.5), (7.5, 2.5), (10, 0)]
    assert bars[1::2] == [(0, 10), (10, 5), (15, 5), (20, 0)]


def test_engine_size_ratio_and_parts_are_text() -> None:
    svg = plot_tracker(report(row("ours", 10.0)))
    words = ("a&lt;b", "512 px", "ours, float32", "10.0 (2.00× sam2)", "encode", "remember")
    assert all(word in svg for word in words)


def test_a_report_without_rows_is_plotted_without_bars() -> None:
    figure = figures.Figure()
    draw_tracker(figure, report())
    assert not figure.axes[0].patches
    assert plot_tracker(report())
