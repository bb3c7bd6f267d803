"""What the command line shows as tables. Takes the JSON of the REST API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from actors.doctor import Check, Verdict

_COLOURS = {Verdict.OK: "green", Verdict.MISSING: "yellow", Verdict.BROKEN: "red"}
_LINE_TIMES = {
    "frame age p50": "frame_age_p50_s",
    "frame age p95": "frame_age_p95_s",
    "frame age when read p95": "read_age_p95_s",
    "of it decoding p50": "decode_p50_s",
    "of it tracking p50": "track_p50_s",
    "prompt to mask p50": "prompt_to_mask_p50_s",
    "prompt to mask p95": "prompt_to_mask_p95_s",
}


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


def bench_tables(report: Mapping[str, Any]) -> tuple[Table, Table, Table]:
    """What was measured, frames of every engine, and what they are made of."""
    names = ("model", "side_px", "frames", "threads", "device", "peak_tflops")
    peers = list(report["rows"][0]["times_as_fast"])
    heads = [f"{what} {peer}" for peer in peers for what in ("times", "IoU with")]
    frames = Table("engine", "in", "objects", "ms a frame", "frames/s", *heads, "seen", box=None)
    parts_of = list(report["rows"][0]["parts_ms"])
    parts = Table("engine", "in", "objects", *parts_of, "kept", "a frame more", "of the peak", box=None)
    for row in report["rows"]:
        who = row["engine"], row["precision"], str(row["objects"])
        against = [
            f"{row[what][peer]:.{digits}f}"
            for peer in peers
            for what, digits in (("times_as_fast", 2), ("mask_iou", 4))
        ]
        frames.add_row(*who, f"{row['frame_ms']:.1f}", f"{row['fps']:.1f}", *against, f"{row['seen']:.0%}")
        parts.add_row(
            *who,
            *(f"{row['parts_ms'][part]:.1f}" for part in parts_of),
            f"{row['held_bytes'] / 1e6:.1f} MB",
            f"{row['grown_bytes'] / 1e3:.0f} kB",
            f"{row['peak_share']:.0%}",
        )
    return pairs_table({name: report[name] for name in names}), frames, parts


def boxes_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """J of every film and their mean, a line for every way to read a box."""
    films = list(rows[0]["j"])
    table = Table("J from a box", "in", *films, "mean", "furthest from sam2", "IoU with sam2", box=None)
    for row in rows:
        scores = (*(row["j"][film] for film in films), row["mean_j"], row["furthest"], row["agreement"])
        table.add_row(row["engine"], row["precision"], *(f"{score:.4f}" for score in scores))
    return table


def grounder_tables(report: Mapping[str, Any]) -> tuple[Table, Table, Table, Table]:
    """What was measured, an answer said against given, queries alone against behind one look, streams."""
    measured = {name: report[name] for name in ("model", "parameters", "dtype", "device", "threads")}
    answers = Table(
        f"one answer of {report['answer_tokens']} tokens", "said, ms", "given, ms", "times as fast", box=None
    )
    parts = {"words": "the language model, its picture read", "keyframe": "from the picture to the mask"}
    for row in report["answers"]:
        answers.add_row(parts[row["part"]], *_raced(row, "said_ms", "given_ms"))
    sharing = Table("queries on one keyframe", "each alone, ms", "one look, ms", "times as fast", box=None)
    for row in report["sharing"]:
        sharing.add_row(str(row["queries"]), *_raced(row, "alone_ms", "shared_ms"))
    streams = Table("streams with a query each", "in turns, ms", "together, ms", "times as fast", box=None)
    for row in report["streams"]:
        streams.add_row(str(row["streams"]), *_raced(row, "alone_ms", "together_ms"))
    return pairs_table(measured), answers, sharing, streams


def _raced(row: Mapping[str, Any], slow: str, fast: str) -> tuple[str, str, str]:
    return f"{row[slow]:.1f}", f"{row[fast]:.1f}", f"{row['speedup']:.2f}"


def line_table(report: Mapping[str, Any]) -> Table:
    """The whole line, a column for every number of objects, and who used the processor meanwhile."""
    columns = [_line_figures(row, report["source_fps"]) for row in report["rows"]]
    table = Table("the whole line", *(f"objects: {row['objects']}" for row in report["rows"]), box=None)
    for name in dict.fromkeys(name for column in columns for name in column):
        table.add_row(name, *(column.get(name, "") for column in columns))
    return table


def _line_figures(row: Mapping[str, Any], source_fps: int) -> dict[str, str]:
    return {
        "frames tracked a second": f"{row['tracked_fps']:.1f} of {source_fps}",
        "frames dropped": f"{row['dropped']} of {row['dropped'] + row['results']}",
        **{name: _milliseconds(row[key]) for name, key in _LINE_TIMES.items()},
        "words that got a mask": f"{row['prompts_answered']} of {row['prompts']}",
        "queries followed": _share(row["followed"]),
        "tracks": f"{row['tracks']:.2f}",
        **{f"cores: {part}": f"{cores:.2f}" for part, cores in row["cores"].items()},
    }


def load_tables(report: Mapping[str, Any]) -> tuple[Table, Table, Table]:
    """What was asked, how each stream went on, and the ratios; a row for one alone, all, and all but one."""
    words = Table(
        "words", "queries", "answered", "got a mask", "to mask p50", "p95", "queued p95", "work p50"
    )
    streams = Table(
        "streams", "", "frames/s", "answering", "between", "age p95", "answering", "between", "tracks"
    )
    for row in report["rows"]:
        figures = ("prompt_to_mask_p50_s", "prompt_to_mask_p95_s", "wait_p95_s", "ground_p50_s")
        counts = (f"{row[key]} of {row['asked']}" for key in ("answered", "masked"))
        words.add_row(
            row["name"], str(row["queries"]), *counts, *(_milliseconds(row[key]) for key in figures)
        )
        for stream in row["streams"]:
            paces = (stream, stream["answering"], stream["following"])
            rates = (f"{one['fps']:.1f}" for one in paces)
            ages = (_milliseconds(one["age_p95_s"]) for one in paces)
            streams.add_row(row["name"], stream["stream"], *rates, *ages, f"{stream['tracks']:.1f}")
    for table in (words, streams):
        table.box = None
    return words, streams, pairs_table(_dashed(_load_figures(report)))


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


def export_tables(found: Mapping[str, Any]) -> list[Table]:
    """Graphs built for a backend, with their files' sizes and the output that differs most from torch's."""
    table = Table(found["backend"], "built in", "files", "differs at most by", box=None)
    for graph in found["graphs"]:
        weighs = [f"{Path(name).suffix} {size / 1e6:.1f} MB" for name, size in graph["files"].items()]
        table.add_row(
            graph["graph"], f"{graph['build_s']:.1f} s", ", ".join(weighs), _worst(graph["difference"] or {})
        )
    unchecked = next(({"not checked": graph["not_run"]} for graph in found["graphs"] if graph["not_run"]), {})
    return [table, pairs_table({"kept in": found["folder"], **unchecked})]


def _worst(differences: Mapping[str, float]) -> str:
    name = max(differences, key=lambda one: differences[one], default=None)
    return "" if name is None else f"{differences[name]:.1e} ({name})"


def eval_tables(report: Mapping[str, Any]) -> list[Table]:
    """Every level of an evaluation in a row; of a single level all there is; real films; live streams."""
    levels = report["levels"]
    tables = [_levels_table(levels)]
    if len(levels) == 1:
        (level,) = levels
        tables += [_phrases_table(level["referring"]), _questions_table(level["answering"])]
        tables += [_titled(part, pairs_table(_dashed(level[part]))) for part in ("following", "describing")]
    if report["footage"]:
        tables.append(_films_table(report["footage"]))
    if report["live"]:
        tables.append(_titled("live", pairs_table(_dashed(_live_figures(report["live"])))))
    return tables


def _levels_table(levels: Sequence[Mapping[str, Any]]) -> Table:
    titles = (
        "level",
        "words\nJ&F",
        "absent\nrefused",
        "present\nrefused",
        "tracks\nJ&F",
        "copied\nmask",
        "found\nagain",
        "silent\naway",
        "asked\nright",
        "phrase\non it",
    )
    table = _titled("everything", Table(*titles, box=None, padding=(0, 1, 0, 0)))
    for level in levels:
        words, followed = level["referring"]["unseen"], level["following"]
        figures = (
            words["overall"]["j_and_f"],
            words["absent_refused"],
            words["wrongly_refused"],
            followed["j_and_f"],
            followed["j_and_f_copy"],
            followed["found_again"],
            followed["silent"],
            level["answering"]["overall"]["right"],
            level["describing"]["grounded"],
        )
        table.add_row(level["level"], *map(_share, figures))
    return table


def _phrases_table(sets: Mapping[str, Mapping[str, Any]]) -> Table:
    """J&F by kind of words, a column for every held-out set."""
    unseen = sets["unseen"]
    titles = ("words", "asked", "J", "F", *(f"J&F {name.replace('_', '-')}" for name in sets))
    table = _titled("referring", Table(*titles, box=None))
    for kind in (*unseen["by_kind"], "overall"):
        fits = [one["overall"] if kind == "overall" else one["by_kind"].get(kind) for one in sets.values()]
        first = fits[0]
        found = [_share(fit["j_and_f"] if fit else None) for fit in fits]
        table.add_row(kind, str(first["cases"]), _share(first["j"]), _share(first["f"]), *found)
    return table


def _questions_table(score: Mapping[str, Any]) -> Table:
    table = _titled("answering", Table("questions", "asked", "right", "by the commonest answer", box=None))
    for kind, right in (*score["by_kind"].items(), ("overall", score["overall"])):
        table.add_row(kind, str(right["questions"]), _share(right["right"]), _share(right["commonest"]))
    return table


def _films_table(score: Mapping[str, Any]) -> Table:
    table = _titled("footage", Table("film", "frames", "J", "copied\nmask", box=None))
    for name, film in score["films"].items():
        table.add_row(name, str(film["frames"]), _share(film["j"]), _share(film["j_copy"]))
    table.add_row("mean", "", _share(score["j"]), _share(score["j_copy"]))
    return table


def _live_figures(score: Mapping[str, Any]) -> dict[str, object]:
    """J&F overall and by kind of words, then the rest; or the reason why there is none."""
    if "left_out" in score:
        return dict(score)
    fits = {"overall": score["overall"], **score["by_kind"]}
    found: dict[str, object] = {f"J&F {kind}": fit["j_and_f"] for kind, fit in fits.items()}
    return found | {name: value for name, value in score.items() if name not in ("overall", "by_kind")}


def _titled(title: str, table: Table) -> Table:
    table.title, table.title_justify = f"\n{title}", "left"
    return table


def _dashed(figures: Mapping[str, object]) -> dict[str, object]:
    return {name: "-" if value is None else value for name, value in figures.items()}


def _share(value: float | None) -> str:
    """A dash where there was no case."""
    return "-" if value is None else f"{value:.3f}"


def _milliseconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds * 1000:.0f} ms"
