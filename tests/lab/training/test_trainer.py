"""Laws of the trainer, with a clock that only steps and exports advance."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from lab.training.checkpoint import Progress
from lab.training.trainer import LogEntry, MetricMeans, Metrics, RunConfig, Timer, Trainer
from lab.training.world.levels import CURRICULUM

STEP_S = 10.0


class StepCount(nn.Module):
    """A model whose only weight is the number of its steps."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = nn.Parameter(torch.zeros(()), requires_grad=False)


class Training:
    """A run of a model that counts its steps."""

    def __init__(self, config: RunConfig) -> None:
        self.now_s = 1000.0
        self.model = StepCount()
        self.logged: list[LogEntry] = []
        self.exported: list[int] = []
        self.seen: list[Progress] = []
        self.export_takes_s = 0.0
        self.interrupted_at_step = -1
        self.trainer = Trainer(config, {"model": self.model}, self.logged.append, clock=lambda: self.now_s)

    def run(self) -> Training:
        self.trainer.run(self._take_step, self._export)
        return self

    def _take_step(self, progress: Progress) -> Metrics:
        if progress.step == self.interrupted_at_step:
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
    training = Training(RunConfig(tmp_path, budget_s=95.0)).run()
    assert [progress.step for progress in training.seen] == list(range(10))
    assert saved(tmp_path) == (10, 100.0)


def test_a_slow_export_at_the_end_of_the_budget_loses_no_step(tmp_path: Path) -> None:
    """Where an export takes the rest of the budget, the step before it is the last one and is saved."""
    config = RunConfig(tmp_path, budget_s=100.0, export=tmp_path / "export", checkpoint_s=1e9, export_s=30.0)
    training = Training(config)
    training.export_takes_s = 80.0
    training.run()
    assert training.exported[-1] == saved(tmp_path)[0] == len(training.seen)


def test_without_an_export_folder_nothing_is_exported(tmp_path: Path) -> None:
    assert Training(RunConfig(tmp_path, budget_s=50.0, export_s=0.0)).run().exported == []


def test_an_interrupted_run_resumes_from_its_last_checkpoint(tmp_path: Path) -> None:
    config = RunConfig(tmp_path, budget_s=100.0, checkpoint_s=30.0)
    first = Training(config)
    first.interrupted_at_step = 5
    with pytest.raises(KeyboardInterrupt):
        first.run()
    assert saved(tmp_path) == (3, 30.0)
    second = Training(config).run()
    assert second.seen[0] == Progress(3, 30.0, session=1)
    assert saved(tmp_path) == (10, 100.0)


def test_a_finished_run_takes_no_step_when_resumed_but_exports(tmp_path: Path) -> None:
    Training(RunConfig(tmp_path, budget_s=20.0)).run()
    again = Training(RunConfig(tmp_path, budget_s=20.0, export=tmp_path / "export")).run()
    assert (again.seen, again.exported) == ([], [2])


def test_the_spent_share_goes_from_0_to_1_over_all_sessions(tmp_path: Path) -> None:
    config = RunConfig(tmp_path, budget_s=40.0)
    shares = [config.spent_share(progress) for progress in Training(config).run().seen]
    assert shares == [0.0, 0.25, 0.5, 0.75]
    assert config.spent_share(Progress(4, 50.0)) == 1.0


def test_means_are_logged_every_so_many_steps(tmp_path: Path) -> None:
    training = Training(RunConfig(tmp_path, budget_s=50.0, log_steps=2)).run()
    assert training.logged == [
        {"step": 2, "elapsed_s": 20.0, "loss": 0.5},
        {"step": 4, "elapsed_s": 40.0, "loss": 2.5},
    ]
    session, *entries = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert entries == training.logged
    assert session["budget_s"] == 50.0


def test_a_resumed_run_appends_to_its_log_what_the_samples_of_every_session_follow_from(
    tmp_path: Path,
) -> None:
    for budget_s in (20.0, 40.0):
        Training(RunConfig(tmp_path, budget_s=budget_s, log_steps=2, seed=7, levels=CURRICULUM[:2])).run()
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line.get("step") for line in lines] == [None, 2, None, 4]
    sessions = [
        {name: line[name] for name in ("session", "from_step", "seed", "levels")} for line in lines[::2]
    ]
    levels = [level.name for level in CURRICULUM[:2]]
    assert sessions == [
        {"session": 0, "from_step": 0, "seed": 7, "levels": levels},
        {"session": 1, "from_step": 2, "seed": 7, "levels": levels},
    ]


def test_a_validation_is_logged_with_the_name_of_its_level(tmp_path: Path) -> None:
    training = Training(RunConfig(tmp_path, budget_s=0.0))
    training.trainer.log_validation({"j": 0.5}, CURRICULUM[2])
    assert training.logged == [{"step": 0, "elapsed_s": 0.0, "j": 0.5, "level": CURRICULUM[2].name}]


def test_a_timer_is_due_once_per_interval_however_late_it_is_read() -> None:
    timer = Timer(10.0, now_s=5.0)
    assert [timer.is_due(now_s) for now_s in (5.0, 14.9, 15.0, 24.9, 47.0, 56.0, 57.0)] == [
        False,
        False,
        True,
        False,
        True,
        False,
        True,
    ]


def test_a_mean_is_over_its_count_or_over_the_steps() -> None:
    means = MetricMeans()
    means.add({"loss": 1.0, "hit": 3.0, "hit/n": 4.0, "seen": 0.0, "seen/n": 0.0})
    means.add({"loss": 2.0, "hit": 1.0, "hit/n": 4.0})
    assert means.pop() == {"loss": 1.5, "hit": 0.5, "seen": 0.0}
    assert means.pop() == {}
