"""Tables of `saccade eval`. They take what `--json` prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from actors.cli.tables import pairs_table, share


def eval_tables(report: Mapping[str, Any]) -> list[Table]:
    """Return a table with a row per level; details of a single level; real clips; live streams."""
    levels = report["levels"]
    tables = [_levels_table(levels)] if levels else []
    if len(levels) == 1:
        (level,) = levels
        tables += [_phrases_table(level["referring"]), _questions_table(level["answering"])]
        tables += [_titled(part, pairs_table(level[part])) for part in ("following", "describing")]
    if report["footage"]:
        tables.append(_real_clips_table(report["footage"]))
    if report.get("photographs"):
        tables += _photograph_tables(report["photographs"])
    if report["live"]:
        tables.append(_titled("live", pairs_table(_live_figures(report["live"]))))
    if report.get("live_footage"):
        tables.append(_titled("words on footage, live", pairs_table(_live_figures(report["live_footage"]))))
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
        table.add_row(level["level"], *map(share, figures))
    return table


def _phrases_table(sets: Mapping[str, Mapping[str, Any]]) -> Table:
    """J&F by kind of expression, with a column per held-out set."""
    unseen = sets["unseen"]
    titles = ("words", "asked", "J", "F", *(f"J&F {name.replace('_', '-')}" for name in sets))
    table = _titled("referring", Table(*titles, box=None))
    for kind in (*unseen["by_kind"], "overall"):
        fits = [each["overall"] if kind == "overall" else each["by_kind"].get(kind) for each in sets.values()]
        first = fits[0]
        found = [share(fit["j_and_f"] if fit else None) for fit in fits]
        table.add_row(kind, str(first["cases"]), share(first["j"]), share(first["f"]), *found)
    return table


def _questions_table(score: Mapping[str, Any]) -> Table:
    table = _titled("answering", Table("questions", "asked", "right", "by the commonest answer", box=None))
    for kind, right in (*score["by_kind"].items(), ("overall", score["overall"])):
        table.add_row(kind, str(right["questions"]), share(right["right"]), share(right["commonest"]))
    return table


def _real_clips_table(score: Mapping[str, Any]) -> Table:
    table = _titled("footage", Table("film", "frames", "J", "copied\nmask", box=None))
    for name, clip in score["films"].items():
        table.add_row(name, str(clip["frames"]), share(clip["j"]), share(clip["j_copy"]))
    table.add_row("mean", "", share(score["j"]), share(score["j_copy"]))
    return table


def _photograph_tables(score: Mapping[str, Any]) -> list[Table]:
    """J&F by name and by kind of expression; refusals."""
    names = dict(list(score["by_name"].items())[:10]) | {"these": score["common_names"]}
    by_name = Table("name", "asked", "J", "F", "J&F", box=None)
    for name, fit in names.items():
        by_name.add_row(name, str(fit["cases"]), *map(share, (fit["j"], fit["f"], fit["j_and_f"])))
    by_kind = Table("words", "asked", "J", "F", "J&F", "absent\nrefused", box=None)
    for kind, fit in score["by_kind"].items():
        refused = score["absent_refused_by_kind"].get(kind)
        by_kind.add_row(kind, str(fit["cases"]), *map(share, (fit["j"], fit["f"], fit["j_and_f"], refused)))
    totals = {key: score[key] for key in ("photographs", "phrases", "absent_refused", "wrongly_refused")}
    return [_titled("photographs", by_name), _titled("", by_kind), pairs_table(totals)]


def _live_figures(score: Mapping[str, Any]) -> dict[str, object]:
    """J&F overall and by kind of expression, then the other figures; or the reason why there are none."""
    if "left_out" in score:
        return dict(score)
    fits = {"overall": score["overall"], **score["by_kind"]}
    found: dict[str, object] = {f"J&F {kind}": fit["j_and_f"] for kind, fit in fits.items()}
    return found | {name: value for name, value in score.items() if name not in ("overall", "by_kind")}


def _titled(title: str, table: Table) -> Table:
    table.title, table.title_justify = f"\n{title}", "left"
    return table
