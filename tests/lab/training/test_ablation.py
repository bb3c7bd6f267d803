"""Laws of an ablation: everything once, everything kept, only like with like."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from statistics import stdev

import pytest
import torch

from engines.grounding.checkpoints import Sa2Va, load_sa2va
from lab.evaluation.metrics import Fit
from lab.training.ablation import (
    ARMS,
    Ablation,
    Cell,
    StepClock,
    Trial,
    measure,
    run_ablation,
    summarise,
)
from lab.training.structure_losses import Structure
from lab.training.trainer import Course, Run
from streaming.errors import Conflict

BASE = next(iter(ARMS))


@pytest.fixture
def order(tmp_path: Path) -> Ablation:
    for stage in ("reader", "tracker"):
        (tmp_path / f"{stage}.pt").write_text(stage)
    return Ablation(tmp_path / "reader.pt", tmp_path / "tracker.pt", tmp_path / "ablation", seeds=2)


def fit(score: float) -> Fit:
    return Fit(cases=9, j=score - 0.1, f=score + 0.1, j_and_f=score)


class Trials:
    """Trials whose outcome is known; may break off after so many."""

    def __init__(self, breaks_after: int = 1000) -> None:
        self.run: list[Trial] = []
        self._left = breaks_after

    def __call__(self, trial: Trial) -> Fit:
        if self._left == 0:
            raise KeyboardInterrupt
        self._left -= 1
        self.run.append(trial)
        return fit(0.5 + 0.1 * list(ARMS).index(trial.arm) + 0.01 * trial.seed)


def test_arms_add_one_thing_after_the_other() -> None:
    plain, aligned, attention, film = ARMS.values()
    assert plain == Structure()
    assert (aligned.contrast_weight, aligned.boundary_weight, aligned.refinement) == (0.1, 0.05, None)
    assert [replace(one, refinement=None) for one in (attention, film)] == [aligned, aligned]
    assert (attention.refinement, film.refinement) == ("mask_biased_attention", "film")


def test_every_arm_is_run_once_with_every_seed_in_a_folder_of_its_own(order: Ablation) -> None:
    trials = Trials()
    report = run_ablation(order, trials, lambda _: None)
    assert [(trial.seed, trial.arm) for trial in trials.run] == [
        (seed, arm) for seed in (0, 1) for arm in ARMS
    ]
    assert len({trial.directory for trial in trials.run}) == len(report.cells) == 8
    assert all(trial.structure is ARMS[trial.arm] for trial in trials.run)


def test_what_is_finished_is_not_run_again(order: Ablation) -> None:
    first = run_ablation(order, Trials(), lambda _: None)
    again, told = Trials(), list[Cell]()
    second = run_ablation(order, again, told.append)
    assert again.run == []
    assert second == first
    assert tuple(told) == first.cells


def test_an_interrupted_ablation_goes_on_with_what_is_missing(order: Ablation) -> None:
    broken, rest = Trials(breaks_after=3), Trials()
    with pytest.raises(KeyboardInterrupt):
        run_ablation(order, broken, lambda _: None)
    assert len(json.loads((order.directory / "cells.json").read_text())["cells"]) == 3
    report = run_ablation(order, rest, lambda _: None)
    assert len(rest.run) == 5
    assert {(one.arm, one.seed) for one in (*broken.run, *rest.run)} == {
        (one.arm, one.seed) for one in report.cells
    }


def test_a_trial_that_was_interrupted_begins_again(order: Ablation) -> None:
    def broken(trial: Trial) -> Fit:
        trial.directory.mkdir(parents=True)
        (trial.directory / "last.pt").touch()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_ablation(order, broken, lambda _: None)
    rest = Trials()
    run_ablation(order, rest, lambda _: None)
    assert not rest.run[0].directory.exists()


def test_more_seeds_may_be_added(order: Ablation) -> None:
    run_ablation(order, Trials(), lambda _: None)
    more = Trials()
    report = run_ablation(replace(order, seeds=3), more, lambda _: None)
    assert {trial.seed for trial in more.run} == {2}
    assert len(report.cells) == 12
    assert len(run_ablation(order, Trials(), lambda _: None).cells) == 8


@pytest.mark.parametrize("changed", [{"steps": 7}, {"scenes": 7}])
def test_trials_of_another_budget_are_not_mixed_in(order: Ablation, changed: dict[str, int]) -> None:
    run_ablation(order, Trials(), lambda _: None)
    with pytest.raises(Conflict, match="another folder"):
        run_ablation(replace(order, **changed), Trials(), lambda _: None)


@pytest.mark.parametrize("stage", ["reader", "tracker"])
def test_trials_from_other_weights_are_not_mixed_in(order: Ablation, stage: str) -> None:
    run_ablation(order, Trials(), lambda _: None)
    (order.directory.parent / f"{stage}.pt").write_text("others")
    with pytest.raises(Conflict):
        run_ablation(order, Trials(), lambda _: None)


def cells(scores: dict[str, list[float]]) -> list[Cell]:
    return [
        Cell(arm, seed, fit(score)) for arm in ARMS for seed, score in enumerate(scores.get(arm, [0.5] * 3))
    ]


def test_an_arm_is_told_by_its_mean_its_spread_and_its_gain_seed_by_seed() -> None:
    attention = list(ARMS)[2]
    rows = {row.arm: row for row in summarise(cells({BASE: [0.4, 0.5, 0.6], attention: [0.5, 0.6, 0.7]}))}
    row = rows[attention]
    assert (row.j, row.f) == (pytest.approx(0.5), pytest.approx(0.7))
    assert row.j_and_f.mean == pytest.approx(0.6)
    assert row.j_and_f.sd == pytest.approx(stdev([0.5, 0.6, 0.7]))
    assert (row.gain.mean, row.gain.sd) == (pytest.approx(0.1), pytest.approx(0.0))
    assert (rows[BASE].gain.mean, rows[BASE].gain.sd) == (0.0, 0.0)


def test_one_seed_has_no_spread() -> None:
    assert {row.j_and_f.sd for row in summarise(cells({arm: [0.5] for arm in ARMS}))} == {None}


@pytest.fixture(scope="module")
def nano() -> Sa2Va:
    torch.set_num_threads(1)
    return load_sa2va("nano")


def test_words_about_what_is_there_are_measured_whether_the_model_holds_them_true_or_not(
    order: Ablation, nano: Sa2Va
) -> None:
    found = measure(nano, replace(order, scenes=2))
    shy = replace(nano, config={**nano.config, "presence_threshold": 1.1})
    assert measure(shy, replace(order, scenes=2)) == found
    assert 0.4 < found.j <= 1.0
    assert 0.4 < found.f <= 1.0
    assert found.cases > 10


def test_a_course_by_the_step_clock_takes_as_many_steps_as_it_was_given(tmp_path: Path) -> None:
    def steps(budget: int) -> int:
        course = Course(Run(tmp_path, budget_s=float(budget)), {}, lambda _: None, StepClock())
        course.run(lambda _: {}, lambda _: None)
        return course.progress.step

    assert steps(5) == 5
    assert steps(12) == 12  # resumed
