"""Tables of the benchmarks."""

import io

from rich.console import Console
from rich.table import Table

from lab.cli.bench_tables import bench_tables, boxes_table, line_table, load_tables


def shown(table: Table) -> str:
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(table)
    return console.export_text()


def test_the_trackers_tables_have_times_ratios_iou_and_parts() -> None:
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


def test_the_table_of_boxes_has_every_clip_and_the_largest_difference() -> None:
    row = {"engine": "openvino", "precision": "float32", "j": {"dog": 0.9512}, "mean_j": 0.9512}
    table = shown(boxes_table([{**row, "furthest": 0.0004, "agreement": 0.9917}]))
    assert all(said in table for said in ("dog", "0.9512", "0.0004", "openvino"))


def test_the_lines_table_has_a_column_per_number_of_objects_and_busy_cores() -> None:
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


def test_the_loads_tables_have_every_streams_rates_while_answering_and_between() -> None:
    rates_during = {"seconds": 2.0, "fps": 14.5, "age_p95_s": 0.031}
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
        "streams": [stream | {"answering": rates_during, "following": rates_during | {"age_p95_s": None}}],
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
