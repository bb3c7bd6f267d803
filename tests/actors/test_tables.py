"""What the command line shows as tables."""

import io

from rich.console import Console
from rich.table import Table

from actors.doctor import Check, Verdict
from actors.tables import (
    bench_tables,
    boxes_table,
    checks_table,
    eval_tables,
    export_tables,
    line_table,
    load_tables,
    pairs_table,
    queries_table,
    streams_table,
)

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


def test_a_bench_shows_times_ratios_agreement_and_what_a_frame_is_made_of() -> None:
    row = {
        "engine": "openvino",
        "precision": "bfloat16",
        "objects": 3,
        "frame_ms": 20.04,
        "fps": 49.9,
        "parts_ms": {"encode": 5.26, "track": 9.0},
        "times_as_fast": {"transformers": 4.5, "sam2": 3.25},
        "seen": 1.0,
        "mask_iou": {"transformers": 0.9991, "sam2": 0.9982},
        "held_bytes": 7_100_000,
        "grown_bytes": 0,
        "peak_share": 0.31,
    }
    report = {"model": "sam2.1-tiny", "side_px": 512, "frames": 5, "threads": 1, "device": "cpu"}
    measured, frames, parts = bench_tables({**report, "peak_tflops": 0.1, "rows": [row]})
    assert "sam2.1-tiny" in shown(measured)
    assert all(said in shown(frames) for said in ("20.0", "4.50", "3.25", "0.9982", "IoU with sam2"))
    assert all(said in shown(parts) for said in ("encode", "5.3", "7.1 MB", "31%"))


def test_boxes_show_every_film_and_the_furthest() -> None:
    row = {"engine": "openvino", "precision": "float32", "j": {"dog": 0.9512}, "mean_j": 0.9512}
    table = shown(boxes_table([{**row, "furthest": 0.0004, "agreement": 0.9917}]))
    assert all(said in table for said in ("dog", "0.9512", "0.0004", "openvino"))


def test_built_graphs_show_their_files_and_how_far_they_are_from_torch() -> None:
    files = {"encode-float32-1-2.onnx": 3_700_000, "encode-float32-3-4.engine": 12_800_000}
    checked = {"graph": "encode", "build_s": 1.64, "files": files, "not_run": ""}
    checked["difference"] = {"mid": 2e-7, "features": 5.3e-7}
    unchecked = {**checked, "graph": "track", "difference": None, "not_run": "There is no CUDA device."}
    graphs, rest = export_tables({"backend": "tensorrt", "folder": "out", "graphs": [checked, unchecked]})
    assert ".onnx 3.7 MB, .engine 12.8 MB" in shown(graphs)
    assert "5.3e-07 (features)" in shown(graphs) and "mid" not in shown(graphs)
    assert "There is no CUDA device." in shown(rest) and "out" in shown(rest)


def evaluated(level: str) -> dict[str, object]:
    fit = {"cases": 12, "j": 0.701, "f": 0.801, "j_and_f": 0.751}
    words = {"overall": fit, "by_kind": {"motion": fit}, "absent_refused": 0.952, "wrongly_refused": 0.023}
    followed = {"j_and_f": 0.851, "j_and_f_copy": 0.123, "found_again": None, "silent": 0.964, "clips": 40}
    right = {"questions": 7, "right": 0.905, "commonest": 0.305}
    return {
        "level": level,
        "referring": {"unseen": words, "look_alikes": words | {"by_kind": {}}},
        "following": followed,
        "answering": {"overall": right, "by_kind": {"count": right}},
        "describing": {"captions": 3, "grounded": 0.806},
    }


def test_an_evaluation_of_a_level_shows_it_kind_by_kind() -> None:
    found = eval_tables({"levels": [evaluated("world")], "footage": None, "live": None})
    first, text = shown(found[0]), "".join(map(shown, found))
    assert all(figure in first for figure in ("world", "0.751", "0.952", "0.851", "0.905", "0.806"))
    assert all(word in text for word in ("motion", "look-alikes", "count", "0.305", "found_again"))
    assert "None" not in text, "where there was no case"


def test_several_levels_are_rows_of_one_table() -> None:
    found = eval_tables({"levels": [evaluated("plain"), evaluated("world")], "footage": None, "live": None})
    assert len(found) == 1 and found[0].row_count == 2


def test_real_films_stand_beside_their_floor() -> None:
    film = {"frames": 50, "j": 0.612, "j_copy": 0.512}
    footage = {"films": {"cows": film}, "j": 0.632, "j_copy": 0.532}
    text = shown(eval_tables({"levels": [evaluated("world")], "footage": footage, "live": None})[-1])
    assert all(figure in text for figure in ("cows", "50", "0.612", "0.512", "0.632", "0.532"))


def test_live_streams_are_shown_by_kind_of_words_or_why_they_were_left_out() -> None:
    fit = {"cases": 70, "j": 0.78, "f": 0.8, "j_and_f": 0.791}
    live = {"words": 9, "overall": fit, "by_kind": {"relation": fit}, "unmasked": 0.111, "silent": None}
    text = shown(eval_tables({"levels": [evaluated("world")], "footage": None, "live": live})[-1])
    assert all(figure in text for figure in ("overall", "relation", "0.791", "0.111", "9"))
    assert "None" not in text
    left_out = {"left_out": "No RTSP server is installed here."}
    text = shown(eval_tables({"levels": [evaluated("world")], "footage": None, "live": left_out})[-1])
    assert "No RTSP server" in text


def test_a_bench_of_the_line_shows_every_number_of_objects_and_who_used_the_processor() -> None:
    row = {
        "objects": 1,
        "followed": 0.998,
        "tracks": 1.01,
        "tracked_fps": 59.9,
        "frame_age_p50_s": 0.034,
        "frame_age_p95_s": 0.051,
        "read_age_p95_s": 0.053,
        "dropped": 3,
        "results": 1197,
        "decode_p50_s": 0.0012,
        "track_p50_s": 0.014,
        "prompt_to_mask_p50_s": 0.21,
        "prompt_to_mask_p95_s": None,
        "prompts": 13,
        "prompts_answered": 12,
        "cores": {"worker": 0.91, "other programs": 0.02},
    }
    crowded = row | {"objects": 3, "cores": {"worker": 0.97, "grounder": 0.1, "other programs": 0.03}}
    text = shown(line_table({"source_fps": 60, "rows": [row, crowded]}))
    figures = ("59.9 of 60", "3 of 1200", "51 ms", "14 ms", "12 of 13", "0.998", "0.91", "0.97", "0.10")
    assert all(figure in text for figure in figures)
    assert "objects: 1" in text and "objects: 3" in text
    assert "None" not in text


def test_the_table_of_levels_fits_a_narrow_terminal() -> None:
    (table,) = eval_tables(
        {"levels": [evaluated("movement"), evaluated("surfaces")], "footage": None, "live": None}
    )
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(table)
    assert "\u2026" not in console.export_text(), "no word is cut"


def test_a_load_shows_every_stream_while_words_were_answered_and_in_between() -> None:
    pace = {"seconds": 2.0, "fps": 14.5, "age_p95_s": 0.031}
    stream = {"stream": "load-1", "fps": 15.0, "age_p95_s": 0.033, "dropped": 0, "tracks": 2.5}
    row = {
        "name": "all at once",
        "queries": 10,
        "asked": 30,
        "answered": 30,
        "masked": 29,
        "prompt_to_mask_p50_s": 0.25,
        "prompt_to_mask_p95_s": 0.412,
        "wait_p95_s": 0.1,
        "ground_p50_s": None,
        "streams": [stream | {"answering": pace, "following": pace | {"age_p95_s": None}}],
        "cores": {"worker": 1.25, "other programs": 0.5},
    }
    report = {
        "model": "nano",
        "source_fps": 15,
        "machine_cores": 2,
        "weights_bytes": None,
        "grounder_loaded_bytes": 500_000_000,
        "grounder_answered_bytes": 520_000_000,
        "rows": [row],
        "prompt_to_mask_ratio": 2.1,
        "rate_ratio": None,
    }
    words, streams, figures = map(shown, load_tables(report))
    assert "30 of 30" in words and "29 of 30" in words and "412 ms" in words
    assert "load-1" in streams and "14.5" in streams and "31 ms" in streams
    assert "2.100" in figures and "520 MB" in figures and "worker 1.25" in figures
    assert "None" not in words + streams + figures
