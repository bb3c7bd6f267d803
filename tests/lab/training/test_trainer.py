"""Laws of every stage's loop, with a clock that only moves when something is done."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from lab.training.checkpoint import Progress
from lab.training.trainer import Course, Every, Figures, Run, Tally, Told
from lab.training.world.levels import CURRICULUM

STEP_S = 10.0


class Weight(nn.Module):
    """Counts its steps."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = nn.Parameter(torch.zeros(()), requires_grad=False)


class Training:
    """A run with a pupil that counts, on a clock of its own."""

    def __init__(self, run: Run) -> None:
        self.now_s = 1000.0
        self.model = Weight()
        self.told: list[Told] = []
        self.exported: list[int] = []
        self.seen: list[Progress] = []
        self.export_takes_s = 0.0
        self.stops_at = -1
        self.course = Course(run, {"model": self.model}, self.told.append, clock=lambda: self.now_s)

    def run(self) -> Training:
        self.course.run(self._take_step, self._export)
        return self

    def _take_step(self, progress: Progress) -> Figures:
        if progress.step == self.stops_at:
            raise KeyboardInterrupt
        self.seen.append(progress)
        self.now_s += STEP_S
        self.model.steps += 1
        return {"loss": float(progress.step)}

    def _export(self, folder: Path) -> None:
        assert folder.name == "export"
        self.exported.append(int(self.model.steps))
        self.now_s += self.export_takes_s


def saved(folder: Path) -> tuple[int, float]:
    state = torch.load(folder / "last.pt", weights_only=True)
    assert int(state["model"]["steps"]) == state["step"]
    return state["step"], state["spent_s"]


def test_steps_are_taken_until_the_budget_is_spent_and_the_last_is_saved(tmp_path: Path) -> None:
    training = Training(Run(tmp_path, budget_s=95.0)).run()
    assert [progress.step for progress in training.seen] == list(range(10))
    assert saved(tmp_path) == (10, 100.0)


def test_a_slow_export_at_the_end_of_the_budget_loses_no_step(tmp_path: Path) -> None:
    """Where an export takes what is left of the budget, the step before it is the last one: it is kept."""
    run = Run(tmp_path, budget_s=100.0, export=tmp_path / "export", checkpoint_s=1e9, export_s=30.0)
    training = Training(run)
    training.export_takes_s = 80.0
    training.run()
    assert training.exported[-1] == saved(tmp_path)[0] == len(training.seen)


def test_what_is_not_asked_for_is_not_exported(tmp_path: Path) -> None:
    assert Training(Run(tmp_path, budget_s=50.0, export_s=0.0)).run().exported == []


def test_an_interrupted_run_goes_on_after_its_last_checkpoint(tmp_path: Path) -> None:
    run = Run(tmp_path, budget_s=100.0, checkpoint_s=30.0)
    first = Training(run)
    first.stops_at = 5
    with pytest.raises(KeyboardInterrupt):
        first.run()
    assert saved(tmp_path) == (3, 30.0)
    second = Training(run).run()
    assert second.seen[0] == Progress(3, 30.0, session=1)
    assert saved(tmp_path) == (10, 100.0)


def test_a_spent_budget_is_not_exceeded_by_resuming_and_the_export_is_made_up_for(tmp_path: Path) -> None:
    Training(Run(tmp_path, budget_s=20.0)).run()
    again = Training(Run(tmp_path, budget_s=20.0, export=tmp_path / "export")).run()
    assert (again.seen, again.exported) == ([], [2])


def test_the_share_of_the_budget_goes_from_0_to_1_over_all_sessions(tmp_path: Path) -> None:
    run = Run(tmp_path, budget_s=40.0)
    assert [run.share(progress) for progress in Training(run).run().seen] == [0.0, 0.25, 0.5, 0.75]
    assert run.share(Progress(4, 50.0)) == 1.0


def test_rates_are_told_every_so_many_steps_and_kept_in_the_log(tmp_path: Path) -> None:
    training = Training(Run(tmp_path, budget_s=50.0, tell_steps=2)).run()
    assert training.told == [
        {"step": 2, "elapsed_s": 20.0, "loss": 0.5},
        {"step": 4, "elapsed_s": 40.0, "loss": 2.5},
    ]
    settings, *kept = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert kept == training.told
    assert settings["budget_s"] == 50.0


def test_the_log_of_a_resumed_run_goes_on_in_the_same_file_and_says_what_every_session_draws(
    tmp_path: Path,
) -> None:
    for budget_s in (20.0, 40.0):
        Training(Run(tmp_path, budget_s=budget_s, tell_steps=2, number=7, levels=CURRICULUM[:2])).run()
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line.get("step") for line in lines] == [None, 2, None, 4]
    asked = [
        {name: line[name] for name in ("session", "from_step", "number", "levels")} for line in lines[::2]
    ]
    levels = [level.name for level in CURRICULUM[:2]]
    assert asked == [
        {"session": 0, "from_step": 0, "number": 7, "levels": levels},
        {"session": 1, "from_step": 2, "number": 7, "levels": levels},
    ]


def test_a_score_on_a_rung_is_told_with_the_name_of_its_level(tmp_path: Path) -> None:
    training = Training(Run(tmp_path, budget_s=0.0))
    training.course.tell({"j": 0.5, "rung": 2})
    assert training.told == [{"step": 0, "elapsed_s": 0.0, "j": 0.5, "rung": 2, "level": CURRICULUM[2].name}]


def test_a_clock_strikes_once_in_an_interval_however_late_it_is_asked() -> None:
    clock = Every(10.0, now_s=5.0)
    assert [clock.strikes(now_s) for now_s in (5.0, 14.9, 15.0, 24.9, 47.0, 56.0, 57.0)] == [
        False,
        False,
        True,
        False,
        True,
        False,
        True,
    ]


def test_a_rate_is_over_its_count_where_it_has_one_and_over_the_steps_where_not() -> None:
    tally = Tally()
    tally.add({"loss": 1.0, "hit": 3.0, "hit/n": 4.0, "seen": 0.0, "seen/n": 0.0})
    tally.add({"loss": 2.0, "hit": 1.0, "hit/n": 4.0})
    assert tally.take() == {"loss": 1.5, "hit": 0.5, "seen": 0.0}
    assert tally.take() == {}
