"""Laws of training curves: what is read from a log, and what is drawn."""

from __future__ import annotations

import json
import logging
import math
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from lab.training import curves
from lab.training.curves import (
    History,
    draw_curves_if_possible,
    draw_runs,
    headline,
    plot_histories,
    read_history,
)
from streaming.errors import BackendUnavailable, NotFound


def validation(elapsed_s: float, j: float, found_again: float, level: str) -> dict[str, Any]:
    return {"elapsed_s": elapsed_s, "j": j, "found_again": found_again, "level": level}


SESSION = {"session": 0, "promotion_score": 0.75, "levels": ["plain", "names"]}
LOG: list[dict[str, Any]] = [
    SESSION,
    {"step": 20, "elapsed_s": 60.0, "loss": 4.0, "j": 0.1},
    validation(90.0, 0.8, math.nan, "plain"),
    {"step": 40, "elapsed_s": 120.0, "loss": 2.0, "j": 0.2},
    validation(150.0, 0.6, 1.0, "names"),
    validation(180.0, 0.7, 1.0, "names"),
]


def history(entries: list[dict[str, Any]] = LOG) -> History:
    return read_history("tracker", map(json.dumps, entries))


def texts(svg: str) -> list[str]:
    found = ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")
    return ["".join(text.itertext()) for text in found]


def figure_of(*histories: History) -> Figure:
    figure = Figure()
    curves._draw_figure(histories, figure)
    return figure


# --- reading --------------------------------------------------------------------------------------


def test_losses_of_training_and_held_out_scores_are_separate() -> None:
    assert history().losses == ((60.0, 4.0), (120.0, 2.0))
    assert history().scores["J, tracked"] == ((90.0, 0.8), (150.0, 0.6), (180.0, 0.7))


def test_a_level_begins_with_the_validation_that_opened_it() -> None:
    assert history().levels == ((0.0, "plain"), (90.0, "names"))
    assert history().promotion_score == 0.75


def test_a_mean_of_no_cases_is_left_out() -> None:
    assert history().scores["found again"] == ((150.0, 1.0), (180.0, 1.0))


def test_steps_that_an_interruption_lost_are_left_out() -> None:
    """The second session resumes from a checkpoint before the last entries of the first."""
    lost = [
        {"step": 60, "elapsed_s": 180.0, "loss": 1.0},
        validation(185.0, 0.9, 1.0, "names") | {"step": 61},
    ]
    again = [SESSION | {"session": 1, "from_step": 40}, {"step": 60, "elapsed_s": 170.0, "loss": 1.5}]
    found = history([SESSION | {"from_step": 0}, *LOG[1:4], *lost, *again])
    assert found.losses == ((60.0, 4.0), (120.0, 2.0), (170.0, 1.5))
    assert found.scores["J, tracked"] == ((90.0, 0.8),)


def test_a_stage_without_validations_has_no_promotion_score() -> None:
    assert history(LOG[:2]) == History("tracker", ((60.0, 4.0),), {}, (), None)


@pytest.mark.parametrize(
    ("entry", "score"),
    [
        ({"j": 0.7, "silent": 0.5, "level": "plain"}, ("J, tracked", 0.7)),
        ({"held_out_category": 0.6, "held_out_colour": 0.9, "level": "plain"}, ("patch categories", 0.6)),
        (
            {"held_out_category": 0.6, "held_out_hit": 0.4, "held_out_j": 0.3, "level": "plain"},
            ("prompt on object", 0.4),
        ),
        ({"j": 0.7, "loss": 0.5}, None),
    ],
)
def test_the_headline_is_the_first_score_of_a_validation(entry: dict[str, Any], score: object) -> None:
    """Of stages tracker, vision and grounding; metrics of training are no scores."""
    assert headline(entry) == score


# --- drawing --------------------------------------------------------------------------------------


def test_every_curve_has_its_points() -> None:
    losses, scores = figure_of(history()).axes
    (loss,) = losses.lines
    assert [*zip(*loss.get_data(), strict=True)] == [*history().losses]
    drawn = {str(line.get_label()): [*zip(*line.get_data(), strict=True)] for line in scores.lines}
    assert all(drawn[label] == [*points] for label, points in history().scores.items())


def test_the_promotion_score_is_a_dashed_line() -> None:
    _, scores = figure_of(history()).axes
    (dashed,) = [line for line in scores.lines if line.get_linestyle() == "--"]
    assert list(dashed.get_ydata()) == [0.75, 0.75]


def test_stages_levels_and_scores_are_labelled_whatever_their_names() -> None:
    odd = [entry | {"level": "<kinds & $co$>"} if "level" in entry else entry for entry in LOG]
    svg = plot_histories([history(odd)])
    assert {"tracker: loss", "tracker: held out", "<kinds & $co$>", "J, tracked"} <= set(texts(svg))


@pytest.mark.parametrize(
    ("seconds", "last"), [(50.0, "0 min"), (1000.0, "15 min"), (9000.0, "2.5 h"), (86400.0, "20 h")]
)
def test_time_is_in_minutes_then_in_hours(seconds: float, last: str) -> None:
    entries = [{"elapsed_s": 1.0, "loss": 1.0}, {"elapsed_s": seconds, "loss": 1.0}]
    times = [text for text in texts(plot_histories([history(entries)])) if text.endswith((" min", " h"))]
    assert times[-1] == last and len(times) <= 2 * 6


def test_losses_have_ticks_at_round_numbers() -> None:
    losses = [{"elapsed_s": 60.0 * step, "loss": loss} for step, loss in enumerate((6.0, 1.5, 0.4))]
    assert {"0.5", "1", "2", "5"} <= set(texts(plot_histories([history(losses)])))


@pytest.mark.parametrize("entries", [[], [SESSION], LOG[:2], LOG[2:3]])
def test_a_log_with_few_or_no_entries_is_drawn(entries: list[dict[str, Any]]) -> None:
    assert "tracker: loss" in texts(plot_histories([history(entries)]))


def test_no_stage_is_an_empty_plot() -> None:
    assert texts(plot_histories([])) == []


# --- files ----------------------------------------------------------------------------------------


def test_the_logs_of_folders_become_one_plot(tmp_path: Path) -> None:
    for stage in ("tracker", "vision"):
        (tmp_path / stage).mkdir()
        (tmp_path / stage / "log.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in LOG))
    draw_runs([tmp_path / "tracker", tmp_path / "vision"], tmp_path / "new" / "curves.svg")
    assert {"tracker: loss", "vision: loss"} <= set(texts((tmp_path / "new" / "curves.svg").read_text()))


def test_an_incomplete_last_line_is_left_out(tmp_path: Path) -> None:
    whole = "".join(json.dumps(entry) + "\n" for entry in LOG)
    plots = []
    for text in (whole, whole + '{"step": 60, "elap'):
        (tmp_path / "log.jsonl").write_text(text)
        draw_runs([tmp_path], tmp_path / "curves.svg")
        plots.append((tmp_path / "curves.svg").read_text())
    assert plots[0] == plots[1]


def test_a_folder_without_a_log_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"log\.jsonl"):
        draw_runs([tmp_path], tmp_path / "curves.svg")
    assert not (tmp_path / "curves.svg").exists()


def test_without_matplotlib_a_training_ends_with_a_warning_instead_of_curves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("lab.plotting.find_spec", lambda name: None)
    (tmp_path / "log.jsonl").write_text(json.dumps(SESSION) + "\n")
    with pytest.raises(BackendUnavailable):
        draw_runs([tmp_path], tmp_path / "curves.svg")
    with caplog.at_level(logging.WARNING):
        draw_curves_if_possible([tmp_path], tmp_path / "curves.svg")
    assert "Install saccade[plots]" in caplog.text
