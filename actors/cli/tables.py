"""Tables of the command line, made from the JSON of the REST API and of the commands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:  # it imports numpy and Redis' client, which every command would wait for
    from actors.cli.doctor import Check

_COLOURS = {"ok": "green", "missing": "yellow", "broken": "red"}


def add_cells(table: Table, *cells: str) -> None:
    """Add a row whose cells are shown as they are: rich takes "[tensorrt]" or "[::1]" in a str for markup."""
    table.add_row(*map(Text, cells))


def pairs_table(pairs: Mapping[str, object]) -> Table:
    """Return a table with one name and value a row; floats with three decimals, None as a dash."""
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, value in pairs.items():
        text = share(value) if value is None or isinstance(value, float) else str(value)
        add_cells(table, name, text)
    return table


def streams_table(streams: Sequence[Mapping[str, Any]]) -> Table:
    """Return a table of streams: state, size, frame rate, frame age, dropped frames, queries, source."""
    table = Table("stream", "state", "size", "fps", "age p95", "dropped", "queries", "source", box=None)
    for stream in streams:
        add_cells(
            table,
            stream["stream_id"],
            stream["state"] + (f": {stream['reason']}" if stream["reason"] else ""),
            f"{stream['width']}x{stream['height']}" if stream["width"] else "",
            f"{stream['tracked_fps']:.0f}",
            milliseconds(stream["frame_age_p95_s"]),
            str(stream["dropped"]),
            "; ".join(query["text"] for query in stream["queries"]),
            stream["url"],
        )
    return table


def queries_table(queries: Sequence[Mapping[str, Any]]) -> Table:
    """Return a table of queries: text, state, answer, prompt-to-mask time."""
    table = Table("query", "stream", "rev", "words", "state", "answer", "prompt to mask", box=None)
    for query in queries:
        add_cells(
            table,
            query["query_id"],
            query["stream_id"],
            str(query["revision"]),
            query["text"],
            query["state"],
            query["answer"] or "",
            milliseconds(query["prompt_to_mask_s"]),
        )
    return table


def checks_table(checks: Sequence[Check]) -> Table:
    """Return a table of `saccade doctor`'s checks."""
    table = Table("", "check", "found", "what to do", box=None, pad_edge=False)
    for check in checks:
        verdict = Text(check.verdict, style=_COLOURS[check.verdict])
        table.add_row(verdict, *map(Text, (check.name, check.found, check.remedy)))
    return table


def export_tables(found: Mapping[str, Any]) -> list[Table]:
    """Return the tables of `saccade export`: build times, file sizes, largest differences from torch."""
    table = Table(found["backend"], "built in", "files", "differs at most by", box=None)
    for graph in found["graphs"]:
        weighs = [f"{Path(name).suffix} {size / 1e6:.1f} MB" for name, size in graph["files"].items()]
        worst = _worst(graph["difference"] or {})
        add_cells(table, graph["graph"], f"{graph['build_s']:.1f} s", ", ".join(weighs), worst)
    unchecked = next(({"not checked": graph["not_run"]} for graph in found["graphs"] if graph["not_run"]), {})
    return [table, pairs_table({"kept in": found["folder"], **unchecked})]


def _worst(differences: Mapping[str, float]) -> str:
    name = max(differences, key=lambda output: differences[output], default=None)
    return "" if name is None else f"{differences[name]:.1e} ({name})"


def milliseconds(seconds: float | None) -> str:
    """Format seconds as whole milliseconds; None as an empty string."""
    return "" if seconds is None else f"{seconds * 1000:.0f} ms"


def share(value: float | None) -> str:
    """Format a fraction with three decimals; None as a dash."""
    return "-" if value is None else f"{value:.3f}"
