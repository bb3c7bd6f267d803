"""What the command line shows as tables. Takes the JSON of the REST API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from actors.doctor import Check, Verdict

_COLOURS = {Verdict.OK: "green", Verdict.MISSING: "yellow", Verdict.BROKEN: "red"}


def pairs_table(pairs: Mapping[str, object]) -> Table:
    """Names and values, one a line."""
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, value in pairs.items():
        table.add_row(name, f"{value:.3f}" if isinstance(value, float) else str(value))
    return table


def streams_table(streams: Sequence[Mapping[str, Any]]) -> Table:
    """Streams with their state and figures."""
    table = Table("stream", "state", "size", "fps", "age p95", "dropped", "queries", "source", box=None)
    for stream in streams:
        table.add_row(
            stream["stream_id"],
            stream["state"] + (f": {stream['reason']}" if stream["reason"] else ""),
            f"{stream['width']}x{stream['height']}" if stream["width"] else "",
            f"{stream['tracked_fps']:.0f}",
            _milliseconds(stream["frame_age_p95_s"]),
            str(stream["dropped"]),
            "; ".join(query["text"] for query in stream["queries"]),
            stream["url"],
        )
    return table


def queries_table(queries: Sequence[Mapping[str, Any]]) -> Table:
    """Queries with what came of them."""
    table = Table("query", "stream", "rev", "words", "state", "answer", "prompt to mask", box=None)
    for query in queries:
        table.add_row(
            query["query_id"],
            query["stream_id"],
            str(query["revision"]),
            query["text"],
            query["state"],
            query["answer"] or "",
            _milliseconds(query["prompt_to_mask_s"]),
        )
    return table


def checks_table(checks: Sequence[Check]) -> Table:
    """What the doctor found."""
    table = Table("", "check", "found", "what to do", box=None, pad_edge=False)
    for check in checks:
        colour = _COLOURS[check.verdict]
        table.add_row(f"[{colour}]{check.verdict}[/]", check.name, check.found, check.remedy)
    return table


def bench_tables(report: Mapping[str, Any]) -> tuple[Table, Table]:
    """Frames of every engine, and the parts of ours."""
    rows = Table("engine", "objects", "ms a frame", "frames/s", "times transformers", "mask IoU", box=None)
    for row in report["rows"]:
        figures = (
            f"{row['frame_ms']:.1f}",
            f"{row['fps']:.1f}",
            f"{row['speedup']:.2f}",
            f"{row['mask_iou']:.4f}",
        )
        rows.add_row(row["engine"], str(row["objects"]), *figures)
    parts = Table("engine", "part", "objects", "ms", box=None)
    for part in report["parts"]:
        parts.add_row(part["engine"], part["part"], str(part["objects"]), f"{part['ms']:.2f}")
    return rows, parts


def _milliseconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds * 1000:.0f} ms"
