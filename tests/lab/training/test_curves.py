"""Laws of the picture of a training: what it reads from a log, and what it draws of it."""

from __future__ import annotations

import json
import math
import xml.etree.ElementTree as ElementTree
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from lab.training.curves import History, draw, draw_runs, headline, read_history
from streaming.errors import NotFound


def judged(elapsed_s: float, j: float, found_again: float, level: str) -> dict[str, Any]:
    rung = ["plain", "names"].index(level)
    return {"elapsed_s": elapsed_s, "j": j, "found_again": found_again, "rung": rung, "level": level}


SESSION = {"session": 0, "gate": 0.75, "levels": ["plain", "names"]}
LOG: list[dict[str, Any]] = [
    SESSION,
    {"step": 20, "elapsed_s": 60.0, "loss": 4.0, "j": 0.1},
    judged(90.0, 0.8, math.nan, "plain"),
    {"step": 40, "elapsed_s": 120.0, "loss": 2.0, "j": 0.2},
    judged(150.0, 0.6, 1.0, "names"),
    judged(180.0, 0.7, 1.0, "names"),
]


def history(entries: list[dict[str, Any]] = LOG) -> History:
    return read_history("tracker", map(json.dumps, entries))


def shapes(picture: str, kind: str) -> list[ElementTree.Element]:
    return ElementTree.fromstring(picture).findall(f"{{http://www.w3.org/2000/svg}}{kind}")


def places(line: ElementTree.Element) -> list[tuple[float, float]]:
    pairs = (pair.split(",") for pair in line.attrib["points"].split())
    return [(float(x), float(y)) for x, y in pairs]


def words(picture: str) -> list[str]:
    return [text.text or "" for text in shapes(picture, "text")]


def test_losses_and_held_out_scores_are_told_apart() -> None:
    assert history().losses == ((60.0, 4.0), (120.0, 2.0))
    assert history().scores["J, followed"] == ((90.0, 0.8), (150.0, 0.6), (180.0, 0.7))


def test_a_level_begins_with_the_score_that_opened_it() -> None:
    assert history().levels == ((0.0, "plain"), (90.0, "names"))
    assert history().gate == 0.75


def test_a_score_of_no_case_is_left_out() -> None:
    assert history().scores["found again"] == ((150.0, 1.0), (180.0, 1.0))


def test_steps_that_were_lost_and_taken_again_are_told_once() -> None:
    """The second session goes on from a checkpoint of before what the first told last."""
    lost = [{"step": 60, "elapsed_s": 180.0, "loss": 1.0}, judged(185.0, 0.9, 1.0, "names") | {"step": 61}]
    again = [SESSION | {"session": 1, "from_step": 40}, {"step": 60, "elapsed_s": 170.0, "loss": 1.5}]
    found = history([SESSION | {"from_step": 0}, *LOG[1:4], *lost, *again])
    assert found.losses == ((60.0, 4.0), (120.0, 2.0), (170.0, 1.5))
    assert found.scores["J, followed"] == ((90.0, 0.8),)


def test_levels_of_an_old_log_go_by_their_number() -> None:
    old = [{name: value for name, value in entry.items() if name != "level"} for entry in LOG]
    assert [name for _, name in history(old).levels] == ["rung 0", "rung 1"]


def test_a_stage_that_is_not_measured_has_no_gate() -> None:
    assert history(LOG[:2]) == History("tracker", ((60.0, 4.0),), {}, (), None)


@pytest.mark.parametrize(
    ("told", "score"),
    [
        ({"j": 0.7, "silent": 0.5, "rung": 0}, ("J, followed", 0.7)),
        ({"held_out_kind": 0.6, "held_out_colour": 0.9, "rung": 0}, ("kinds named", 0.6)),
        ({"held_out_kind": 0.6, "held_out_hit": 0.4, "held_out_j": 0.3, "rung": 0}, ("pointed right", 0.4)),
        ({"j": 0.7, "loss": 0.5}, None),
    ],
)
def test_the_score_that_opens_gates_is_known_by_its_stage(told: dict[str, float], score: object) -> None:
    """That of stages tracker, vision and grounding; and what a step of training scores opens none."""
    assert headline(told) == score


def test_every_curve_is_drawn_forwards_in_time_and_upwards_in_value() -> None:
    curves = [places(line) for line in shapes(draw([history()]), "polyline")]
    assert len(curves) == 1 + len(history().scores)
    assert all(x < later for line in curves for (x, _), (later, _) in pairwise(line))
    loss, followed, *_ = curves
    assert loss[0][1] < loss[1][1], "it fell"
    assert followed[1][1] > followed[2][1], "it rose"


def test_the_gate_lies_where_its_score_would() -> None:
    picture = draw([history(), history([SESSION, *LOG[2:3]])])
    gates = [line for line in shapes(picture, "line") if line.attrib["stroke-dasharray"] == "6 4"]
    assert len(gates) == 2
    high, *_, low = places(shapes(picture, "polyline")[1])
    assert high[1] < float(gates[0].attrib["y1"]) < low[1]


def test_stages_levels_and_scores_are_named_whatever_they_are_called() -> None:
    odd = [entry | {"level": "<kinds & co>"} if "level" in entry else entry for entry in LOG]
    assert {"tracker: loss", "tracker: held out", "<kinds & co>", "J, followed"} <= set(
        words(draw([history(odd)]))
    )


@pytest.mark.parametrize(
    ("seconds", "last"), [(50.0, "0 min"), (1000.0, "15 min"), (9000.0, "2.5 h"), (86400.0, "20 h")]
)
def test_time_is_told_in_minutes_then_in_hours(seconds: float, last: str) -> None:
    picture = draw([history([{"elapsed_s": 1.0, "loss": 1.0}, {"elapsed_s": seconds, "loss": 1.0}])])
    times = [word for word in words(picture) if word.endswith((" min", " h"))]
    assert times[-1] == last and len(times) <= 2 * 6


@pytest.mark.parametrize("entries", [[], [SESSION], LOG[:2], LOG[2:3]])
def test_little_or_nothing_is_drawn_too(entries: list[dict[str, Any]]) -> None:
    assert "tracker: loss" in words(draw([history(entries)]))


def test_folders_become_a_picture(tmp_path: Path) -> None:
    for stage in ("tracker", "vision"):
        (tmp_path / stage).mkdir()
        (tmp_path / stage / "log.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in LOG))
    draw_runs([tmp_path / "tracker", tmp_path / "vision"], tmp_path / "new" / "curves.svg")
    assert {"tracker: loss", "vision: loss"} <= set(words((tmp_path / "new" / "curves.svg").read_text()))


def test_a_line_that_is_being_written_is_left_out(tmp_path: Path) -> None:
    whole = "".join(json.dumps(entry) + "\n" for entry in LOG)
    pictures = []
    for text in (whole, whole + '{"step": 60, "elap'):
        (tmp_path / "log.jsonl").write_text(text)
        draw_runs([tmp_path], tmp_path / "curves.svg")
        pictures.append((tmp_path / "curves.svg").read_text())
    assert pictures[0] == pictures[1]


def test_a_folder_without_a_log_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"log\.jsonl"):
        draw_runs([tmp_path], tmp_path / "curves.svg")
    assert not (tmp_path / "curves.svg").exists()
