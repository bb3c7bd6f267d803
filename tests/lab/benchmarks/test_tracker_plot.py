"""The bench, drawn."""

from __future__ import annotations

from xml.etree import ElementTree

from lab.benchmarks.tracker import BenchReport, BenchRow
from lab.benchmarks.tracker_plot import WIDTH, draw_bench


def row(engine: str, frame_ms: float) -> BenchRow:
    parts_ms = {"encode": frame_ms / 2, "track": frame_ms / 4, "remember": frame_ms / 4, "other": 0.0}
    times, agreed = {"sam2": 20 / frame_ms}, {"sam2": 1.0}
    return BenchRow(engine, "float32", 1, frame_ms, 1e3 / frame_ms, parts_ms, times, 1.0, agreed, 1, 0, 0.5)


def drawn(*rows: BenchRow) -> ElementTree.Element:
    return ElementTree.fromstring(draw_bench(BenchReport("a<b", 512, 4, 1, "cpu", 0.1, rows)))


def words(picture: ElementTree.Element) -> str:
    return " ".join(one.text or "" for one in picture.iter() if one.tag.endswith("text"))


def lengths(picture: ElementTree.Element) -> list[float]:
    bars = [one for one in picture.iter() if one.tag.endswith("rect") and one.get("height") == "18"]
    return [float(one.get("width", 0)) for one in bars]


def test_a_bar_is_as_long_as_its_frame_takes_and_made_of_its_parts() -> None:
    bars = lengths(drawn(row("ours", 10.0), row("theirs", 20.0)))
    assert bars == [WIDTH / 4, WIDTH / 8, WIDTH / 8, 0, WIDTH / 2, WIDTH / 4, WIDTH / 4, 0]


def test_it_names_everything_in_words() -> None:
    said = words(drawn(row("ours", 10.0)))
    assert all(
        word in said for word in ("a<b", "512 px", "ours, float32", "2.00× sam2", "encode", "remember")
    )


def test_nothing_measured_is_a_picture_too() -> None:
    assert lengths(drawn()) == []
