"""What the command line shows as tables."""

import io

from rich.console import Console
from rich.table import Table

from actors.doctor import Check, Verdict
from actors.tables import bench_tables, checks_table, pairs_table, queries_table, streams_table

QUERY = {
    "query_id": "q-1",
    "stream_id": "door",
    "revision": 2,
    "text": "the red jacket",
    "state": "following",
    "answer": None,
    "prompt_to_mask_s": 0.234,
}
STREAM = {
    "stream_id": "door",
    "url": "rtsp://***@10.0.0.1/1",
    "state": "reconnecting",
    "reason": "No picture for 3 s.",
    "width": None,
    "height": None,
    "tracked_fps": 0.0,
    "frame_age_p95_s": None,
    "dropped": 7,
    "queries": [QUERY],
}


def shown(table: Table) -> str:
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(table)
    return console.export_text()


def test_a_stream_without_pictures_shows_why_and_no_figures() -> None:
    text = shown(streams_table([STREAM]))
    assert "reconnecting: No picture for 3 s." in text
    assert "the red jacket" in text
    assert "None" not in text


def test_a_query_shows_its_revision_and_its_wait_in_milliseconds() -> None:
    text = shown(queries_table([QUERY]))
    assert "234 ms" in text and " 2 " in text
    assert "None" not in text


def test_a_check_shows_what_to_do() -> None:
    assert "Install it." in shown(checks_table([Check("redis", Verdict.BROKEN, "none", "Install it.")]))


def test_figures_are_rounded_and_words_are_not() -> None:
    text = shown(pairs_table({"j_mean": 0.87654, "results": 900, "overlay": "out/overlay.mp4"}))
    assert "0.877" in text and "900" in text and "out/overlay.mp4" in text


def test_a_bench_shows_every_engine_and_every_part() -> None:
    row = {
        "engine": "openvino",
        "objects": 3,
        "frame_ms": 20.04,
        "fps": 49.9,
        "speedup": 4.5,
        "mask_iou": 0.9991,
    }
    part = {"engine": "openvino", "part": "encode", "objects": 3, "ms": 5.25}
    rows, parts = bench_tables({"rows": [row], "parts": [part]})
    assert "20.0" in shown(rows) and "4.50" in shown(rows)
    assert "encode" in shown(parts) and "5.25" in shown(parts)
