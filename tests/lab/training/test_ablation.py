"""Laws of an ablation: every trial once, every result stored, only comparable results together."""

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
from lab.training.structure_losses import StructureConfig
from lab.training.trainer import RunConfig, Trainer
from streaming.errors import Conflict

BASE = next(iter(ARMS))


@pytest.fixture
def ablation(tmp_path: Path) -> Ablation:
    for stage in ("grounding", "tracker"):
        (tmp_path / f"{stage}.pt").write_text(stage)
    return Ablation(tmp_path / "grounding.pt", tmp_path / "tracker.pt", tmp_path / "ablation", seeds=2)


def fit(score: float) -> Fit:
    return Fit(cases=9, j=score - 0.1, f=score + 0.1, j_and_f=score)


class Trials:
    """Trials with known results; raises KeyboardInterrupt after some of them."""

    def __init__(self, interrupted_after: int = 1000) -> None:
        self.run: list[Trial] = []
        self._left = interrupted_after

    def __call__(self, trial: Trial) -> Fit:
        if self._left == 0:
            raise KeyboardInterrupt
        self._left -= 1
        self.run.append(trial)
        return fit(0.5 + 0.1 * list(ARMS).index(trial.arm) + 0.01 * trial.seed)


def test_each_arm_adds_one_part() -> None:
    plain, losses, attention, film = ARMS.values()
    assert plain == StructureConfig()
    assert (losses.contrast_weight, losses.boundary_weight, losses.refinement) == (0.1, 0.05, None)
    assert [replace(one, refinement=None) for one in (attention, film)] == [losses, losses]
    assert (attention.refinement, film.refinement) == ("mask_biased_attention", "film")


def test_every_arm_runs_once_with_every_seed_in_its_own_folder(ablation: Ablation) -> None:
    trials = Trials()
    report = run_ablation(ablation, trials, lambda _: None)
    assert [(trial.seed, trial.arm) for trial in trials.run] == [
        (seed, arm) for seed in (0, 1) for arm in ARMS
    ]
    assert len({trial.directory for trial in trials.run}) == len(report.cells) == 8
    assert all(trial.structure is ARMS[trial.arm] for trial in trials.run)


def test_finished_trials_do_not_run_again(ablation: Ablation) -> None:
    first = run_ablation(ablation, Trials(), lambda _: None)
    again, cells = Trials(), list[Cell]()
    second = run_ablation(ablation, again, cells.append)
    assert again.run == []
    assert second == first
    assert tuple(cells) == first.cells


def test_an_interrupted_ablation_resumes_with_the_missing_trials(ablation: Ablation) -> None:
    interrupted, rest = Trials(interrupted_after=3), Trials()
    with pytest.raises(KeyboardInterrupt):
        run_ablation(ablation, interrupted, lambda _: None)
    assert len(json.loads((ablation.directory / "cells.json").read_text())["cells"]) == 3
    report = run_ablation(ablation, rest, lambda _: None)
    assert len(rest.run) == 5
    assert {(one.arm, one.seed) for one in (*interrupted.run, *rest.run)} == {
        (one.arm, one.seed) for one in report.cells
    }


def test_an_interrupted_trial_starts_again(ablation: Ablation) -> None:
    def interrupted(trial: Trial) -> Fit:
        trial.directory.mkdir(parents=True)
        (trial.directory / "last.pt").touch()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_ablation(ablation, interrupted, lambda _: None)
    rest = Trials()
    run_ablation(ablation, rest, lambda _: None)
    assert not rest.run[0].directory.exists()


def test_seeds_can_be_added(ablation: Ablation) -> None:
    run_ablation(ablation, Trials(), lambda _: None)
    more = Trials()
    report = run_ablation(replace(ablation, seeds=3), more, lambda _: None)
    assert {trial.seed for trial in more.run} == {2}
    assert len(report.cells) == 12
    assert len(run_ablation(ablation, Trials(), lambda _: None).cells) == 8


@pytest.mark.parametrize("changed", [{"steps": 7}, {"scenes": 7}])
def test_cells_of_another_budget_are_a_conflict(ablation: Ablation, changed: dict[str, int]) -> None:
    run_ablation(ablation, Trials(), lambda _: None)
    with pytest.raises(Conflict, match="another folder"):
        run_ablation(replace(ablation, **changed), Trials(), lambda _: None)


@pytest.mark.parametrize("stage", ["grounding", "tracker"])
def test_cells_of_other_checkpoints_are_a_conflict(ablation: Ablation, stage: str) -> None:
    run_ablation(ablation, Trials(), lambda _: None)
    (ablation.directory.parent / f"{stage}.pt").write_text("others")
    with pytest.raises(Conflict):
        run_ablation(ablation, Trials(), lambda _: None)


def cells(scores: dict[str, list[float]]) -> list[Cell]:
    return [
        Cell(arm, seed, fit(score)) for arm in ARMS for seed, score in enumerate(scores.get(arm, [0.5] * 3))
    ]


def test_a_row_has_the_mean_the_deviation_and_the_gain_seed_by_seed() -> None:
    attention = list(ARMS)[2]
    rows = {row.arm: row for row in summarise(cells({BASE: [0.4, 0.5, 0.6], attention: [0.5, 0.6, 0.7]}))}
    row = rows[attention]
    assert (row.j, row.f) == (pytest.approx(0.5), pytest.approx(0.7))
    assert row.j_and_f.mean == pytest.approx(0.6)
    assert row.j_and_f.sd == pytest.approx(stdev([0.5, 0.6, 0.7]))
    assert (row.gain.mean, row.gain.sd) == (pytest.approx(0.1), pytest.approx(0.0))
    assert (rows[BASE].gain.mean, rows[BASE].gain.sd) == (0.0, 0.0)


def test_a_single_seed_has_no_deviation() -> None:
    assert {row.j_and_f.sd for row in summarise(cells({arm: [0.5] for arm in ARMS}))} == {None}


@pytest.fixture(scope="module")
def nano() -> Sa2Va:
    torch.set_num_threads(1)
    return load_sa2va("nano")


def test_masks_are_scored_whatever_the_presence_threshold(ablation: Ablation, nano: Sa2Va) -> None:
    found = measure(nano, replace(ablation, scenes=2))
    high = replace(nano, config={**nano.config, "presence_threshold": 1.1})
    assert measure(high, replace(ablation, scenes=2)) == found
    assert 0.4 < found.j <= 1.0
    assert 0.4 < found.f <= 1.0
    assert found.cases > 10


def test_a_budget_by_the_step_clock_is_a_number_of_steps(tmp_path: Path) -> None:
    def steps(budget: int) -> int:
        config = RunConfig(tmp_path, budget_s=float(budget))
        trainer = Trainer(config, {}, lambda _: None, StepClock())
        trainer.run(lambda _: {}, lambda _: None)
        return trainer.progress.step

    assert steps(5) == 5
    assert steps(12) == 12  # resumed
