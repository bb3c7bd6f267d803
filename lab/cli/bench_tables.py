"""Tables of the benchmarks. They take what `saccade bench … --json` prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from actors.cli.tables import milliseconds, pairs_table, share

_LINE_TIMES = {
    "frame age p50": "frame_age_p50_s",
    "frame age p95": "frame_age_p95_s",
    "frame age when read p95": "read_age_p95_s",
    "of it decoding p50": "decode_p50_s",
    "of it tracking p50": "track_p50_s",
    "prompt to mask p50": "prompt_to_mask_p50_s",
    "prompt to mask p95": "prompt_to_mask_p95_s",
}


def bench_tables(report: Mapping[str, Any]) -> tuple[Table, Table, Table]:
    """Return tables of the setup, of every engine's frames, and of their parts and memory."""
    names = ("model", "side_px", "frames", "threads", "device", "peak_tflops")
    baselines = list(report["rows"][0]["times_as_fast"])
    heads = [f"{what} {name}" for name in baselines for what in ("times", "IoU with")]
    frames = Table("engine", "in", "objects", "ms a frame", "frames/s", *heads, "seen", box=None)
    parts_of = list(report["rows"][0]["parts_ms"])
    parts = Table("engine", "in", "objects", *parts_of, "kept", "a frame more", "of the peak", box=None)
    for row in report["rows"]:
        engine = row["engine"], row["precision"], str(row["objects"])
        against = [
            f"{row[what][name]:.{digits}f}"
            for name in baselines
            for what, digits in (("times_as_fast", 2), ("mask_iou", 4))
        ]
        frames.add_row(*engine, f"{row['frame_ms']:.1f}", f"{row['fps']:.1f}", *against, f"{row['seen']:.0%}")
        parts.add_row(
            *engine,
            *(f"{row['parts_ms'][part]:.1f}" for part in parts_of),
            f"{row['held_bytes'] / 1e6:.1f} MB",
            f"{row['grown_bytes'] / 1e3:.0f} kB",
            f"{row['peak_share']:.0%}",
        )
    return pairs_table({name: report[name] for name in names}), frames, parts


def boxes_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return a table of J by clip, with a row per engine and precision."""
    clips = list(rows[0]["j"])
    table = Table("J from a box", "in", *clips, "mean", "furthest from sam2", "IoU with sam2", box=None)
    for row in rows:
        scores = (*(row["j"][clip] for clip in clips), row["mean_j"], row["furthest"], row["agreement"])
        table.add_row(row["engine"], row["precision"], *(f"{score:.4f}" for score in scores))
    return table


def grounder_tables(report: Mapping[str, Any]) -> tuple[Table, Table, Table, Table]:
    """Return tables of the setup, of teacher forcing, of the shared prefix, and of batches."""
    measured = {name: report[name] for name in ("model", "parameters", "dtype", "device", "threads")}
    answers = Table(
        f"one answer of {report['answer_tokens']} tokens", "said, ms", "given, ms", "times as fast", box=None
    )
    parts = {"words": "the language model, its picture read", "keyframe": "from the picture to the mask"}
    for row in report["answers"]:
        answers.add_row(parts[row["part"]], *_times(row, "said_ms", "given_ms"))
    sharing = Table("queries on one keyframe", "each alone, ms", "one look, ms", "times as fast", box=None)
    for row in report["sharing"]:
        sharing.add_row(str(row["queries"]), *_times(row, "alone_ms", "shared_ms"))
    streams = Table("streams with a query each", "in turns, ms", "together, ms", "times as fast", box=None)
    for row in report["streams"]:
        streams.add_row(str(row["streams"]), *_times(row, "alone_ms", "together_ms"))
    return pairs_table(measured), answers, sharing, streams


def _times(row: Mapping[str, Any], slow: str, fast: str) -> tuple[str, str, str]:
    return f"{row[slow]:.1f}", f"{row[fast]:.1f}", f"{row['speedup']:.2f}"


def line_table(report: Mapping[str, Any]) -> Table:
    """Return a table with a column per number of objects, busy cores included."""
    columns = [_line_figures(row, report["source_fps"]) for row in report["rows"]]
    table = Table("the whole line", *(f"objects: {row['objects']}" for row in report["rows"]), box=None)
    for name in dict.fromkeys(name for column in columns for name in column):
        table.add_row(name, *(column.get(name, "") for column in columns))
    return table


def _line_figures(row: Mapping[str, Any], source_fps: int) -> dict[str, str]:
    return {
        "frames tracked a second": f"{row['tracked_fps']:.1f} of {source_fps}",
        "frames dropped": f"{row['dropped']} of {row['dropped'] + row['results']}",
        **{name: milliseconds(row[key]) for name, key in _LINE_TIMES.items()},
        "words that got a mask": f"{row['prompts_answered']} of {row['prompts']}",
        "queries followed": share(row["followed"]),
        "tracks": f"{row['tracks']:.2f}",
        **{f"cores: {part}": f"{cores:.2f}" for part, cores in row["cores"].items()},
    }


def load_tables(report: Mapping[str, Any]) -> tuple[Table, Table, Table]:
    """Return tables of latencies, of each stream's rates, and of ratios and memory."""
    words = Table(
        "words", "queries", "answered", "got a mask", "to mask p50", "p95", "queued p95", "work p50"
    )
    streams = Table(
        "streams", "", "frames/s", "answering", "between", "age p95", "answering", "between", "tracks"
    )
    for row in report["rows"]:
        figures = ("prompt_to_mask_p50_s", "prompt_to_mask_p95_s", "wait_p95_s", "ground_p50_s")
        counts = (f"{row[key]} of {row['asked']}" for key in ("answered", "masked"))
        words.add_row(row["name"], str(row["queries"]), *counts, *(milliseconds(row[key]) for key in figures))
        for stream in row["streams"]:
            intervals = (stream, stream["answering"], stream["following"])
            rates = (f"{each['fps']:.1f}" for each in intervals)
            ages = (milliseconds(each["age_p95_s"]) for each in intervals)
            streams.add_row(row["name"], stream["stream"], *rates, *ages, f"{stream['tracks']:.1f}")
    for table in (words, streams):
        table.box = None
    return words, streams, pairs_table(_load_figures(report))


def _load_figures(report: Mapping[str, Any]) -> dict[str, object]:
    cores = {
        f"cores, {row['name']}": ", ".join(f"{part} {busy:.2f}" for part, busy in row["cores"].items())
        for row in report["rows"]
    }
    return {
        "model": report["model"],
        "frames/s of every camera": report["source_fps"],
        "prompt to mask p95, all at once / one alone": report["prompt_to_mask_ratio"],
        "frame rate, slowest of all / one that follows alone": report["rate_ratio"],
        "weights": _megabytes(report["weights_bytes"]),
        "grounder's memory, loaded": _megabytes(report["grounder_loaded_bytes"]),
        "grounder's memory, having answered": _megabytes(report["grounder_answered_bytes"]),
        **cores,
    }


def _megabytes(size: int | None) -> str | None:
    return None if size is None else f"{size / 1e6:.0f} MB"
