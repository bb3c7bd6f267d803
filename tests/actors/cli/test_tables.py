"""Tests of the tables of the command line."""

import io

from rich.console import Console
from rich.table import Table

from actors.cli.doctor import Check, Verdict
from actors.cli.tables import checks_table, export_tables, pairs_table, queries_table, streams_table

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


def test_a_stream_without_frames_shows_its_reason_and_no_figures() -> None:
    text = shown(streams_table([STREAM]))
    assert "reconnecting: No picture for 3 s." in text
    assert "the red jacket" in text
    assert "None" not in text


def test_a_query_shows_its_revision_and_prompt_to_mask_time() -> None:
    text = shown(queries_table([QUERY]))
    assert "234 ms" in text and " 2 " in text
    assert "None" not in text


def test_a_check_shows_its_remedy() -> None:
    assert "Install it." in shown(checks_table([Check("redis", Verdict.BROKEN, "none", "Install it.")]))


def test_floats_have_three_decimals() -> None:
    text = shown(pairs_table({"j_mean": 0.87654, "results": 900, "overlay": "out/overlay.mp4"}))
    assert "0.877" in text and "900" in text and "out/overlay.mp4" in text


def test_exported_graphs_show_files_and_the_largest_difference() -> None:
    files = {"encode-float32-1-2.onnx": 3_700_000, "encode-float32-3-4.engine": 12_800_000}
    checked = {"graph": "encode", "build_s": 1.64, "files": files, "not_run": ""}
    checked["difference"] = {"mid": 2e-7, "features": 5.3e-7}
    unchecked = {**checked, "graph": "track", "difference": None, "not_run": "There is no CUDA device."}
    graphs, rest = export_tables({"backend": "tensorrt", "folder": "out", "graphs": [checked, unchecked]})
    assert ".onnx 3.7 MB, .engine 12.8 MB" in shown(graphs)
    assert "5.3e-07 (features)" in shown(graphs) and "mid" not in shown(graphs)
    assert "There is no CUDA device." in shown(rest) and "out" in shown(rest)


def test_brackets_in_cells_are_shown_as_they_are() -> None:
    assert "pip install 'saccade[tensorrt]'" in shown(pairs_table({"run": "pip install 'saccade[tensorrt]'"}))
    stream = STREAM | {"url": "rtsp://[::1]:8554/live"}
    assert "rtsp://[::1]:8554/live" in shown(streams_table([stream]))
    assert "the [red] car" in shown(queries_table([QUERY | {"text": "the [red] car"}]))
    check = Check("tensorrt", Verdict.MISSING, "[none]", "pip install 'saccade[tensorrt]'")
    assert "[none]" in shown(checks_table([check])) and "saccade[tensorrt]" in shown(checks_table([check]))
