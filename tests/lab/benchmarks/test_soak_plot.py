"""The picture of a soak: every run a curve on common axes, and what stopped early says so."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

from lab.benchmarks.soak import Sample, SoakPlan, SoakReport, SoakRun
from lab.benchmarks.soak_plot import HEIGHT, LEFT, TOP, WIDTH, draw_soak, told

MIB = 2**20
PLAN = SoakPlan(1000, objects=2, model="nano", threads=1, most_growth_bytes=MIB)


def run(engine: str, *resident_mib: float, stopped: bool = False, slope: float = 0.0) -> SoakRun:
    step = 100 if stopped else 1000 // len(resident_mib)
    samples = [
        Sample(step * (place + 1), int(mib * MIB), None, 1.0) for place, mib in enumerate(resident_mib)
    ]
    return SoakRun(engine, tuple(samples), stopped, slope, 0.0, 1.0)


def drawn(*runs: SoakRun) -> ElementTree.Element:
    return ElementTree.fromstring(draw_soak(SoakReport(PLAN, runs)))


def shapes(picture: ElementTree.Element, kind: str) -> list[ElementTree.Element]:
    return picture.findall(f"{{http://www.w3.org/2000/svg}}{kind}")


def test_every_run_is_a_curve_within_the_panel() -> None:
    curves = shapes(drawn(run("openvino", 400, 400), run("transformers", 300, 800)), "polyline")
    places = [[tuple(map(float, pair.split(","))) for pair in one.attrib["points"].split()] for one in curves]
    flat, rising = places
    assert flat[0][1] == flat[1][1] and rising[0][1] > rising[1][1]
    for x, y in flat + rising:
        assert LEFT <= x <= LEFT + WIDTH and TOP <= y <= TOP + HEIGHT
    assert flat[-1][0] == LEFT + WIDTH, "the last frame is at the end"


def test_a_run_that_was_stopped_says_when() -> None:
    words = [one.text for one in shapes(drawn(run("transformers", 1, 9, stopped=True)), "text")]
    assert "stopped after 200 frames" in words


def test_the_legend_names_the_engine_and_its_slope() -> None:
    assert told(run("openvino", 1, slope=-512)) == "Saccade, openvino: -0.50 KiB a frame"
    assert told(run("transformers", 1, slope=1.5 * MIB)) == "transformers' session: +1,536.00 KiB a frame"
