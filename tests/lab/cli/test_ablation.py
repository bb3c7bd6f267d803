"""`saccade train ablation` refuses missing checkpoints and options before it trains."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.command_line import is_one_line, saccade


@pytest.mark.parametrize("stage", ["grounding", "tracker"])
def test_a_missing_checkpoint_is_named_with_its_stage(stage: str, tmp_path: Path) -> None:
    for other in {"grounding", "tracker"} - {stage}:
        (tmp_path / "runs" / other).mkdir(parents=True)
        (tmp_path / "runs" / other / "last.pt").touch()
    done = saccade("train", "ablation", cwd=tmp_path)
    assert (done.returncode, is_one_line(done)) == (2, True)
    assert f"Train stage `{stage}` first" in done.stderr
    assert not (tmp_path / "runs" / "ablation").exists()


@pytest.mark.parametrize("option", ["--steps", "--seeds", "--scenes"])
def test_zero_steps_seeds_or_scenes_are_refused(option: str, tmp_path: Path) -> None:
    assert saccade("train", "ablation", option, "0", cwd=tmp_path).returncode == 2
