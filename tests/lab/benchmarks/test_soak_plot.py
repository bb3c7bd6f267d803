"""The soak benchmark's plot."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from lab.benchmarks.soak import Sample, SoakPlan, SoakReport, SoakRun
from lab.benchmarks.soak_plot import draw_soak, plot_soak, run_label

figures = pytest.importorskip("matplotlib.figure")

MIB = 2**20
PLAN = SoakPlan(1000, objects=2, model="nano", threads=1, most_growth_bytes=MIB)


def run(engine: str, *resident_mib: float, stopped: bool = False, slope: float = 0.0) -> SoakRun:
    step = 100 if stopped else 1000 // len(resident_mib)
    samples = [
        Sample(step * (place + 1), int(mib * MIB), None, 1.0) for place, mib in enumerate(resident_mib)
    ]
    return SoakRun(engine, tuple(samples), stopped, slope, 0.0, 1.0)


def test_every_run_is_a_curve_of_resident_mebibytes_over_frames() -> None:
    figure = figures.Figure()
    draw_soak(figure, SoakReport(PLAN, (run("openvino", 400, 400), run("transformers", 300, 800))))
    flat, rising = [line.get_xydata().tolist() for line in figure.axes[0].lines]
    assert flat == [[500, 400], [1000, 400]]
    assert rising == [[500, 300], [1000, 800]]


def test_a_stopped_run_is_marked_with_its_number_of_frames() -> None:
    svg = plot_soak(SoakReport(PLAN, (run("transformers", 1, 9, stopped=True),)))
    words = [element.text for element in ElementTree.fromstring(svg).iter() if element.tag.endswith("text")]
    assert "stopped after 200 frames" in words


def test_the_legend_has_engine_and_slope() -> None:
    assert run_label(run("openvino", 1, slope=-512)) == "Saccade, openvino: -0.50 KiB per frame"
    assert (
        run_label(run("transformers", 1, slope=1.5 * MIB)) == "transformers' session: +1,536.00 KiB per frame"
    )
    svg = plot_soak(SoakReport(PLAN, (run("openvino", 1, 1),)))
    assert "Saccade, openvino: +0.00 KiB per frame" in svg
