"""Laws of checkpoints: whole or absent, and equal to what was saved."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from lab.training.checkpoint import Checkpoint, Progress
from streaming.errors import CheckpointError


class Unwritable:
    """A part whose state cannot be saved."""

    def state_dict(self) -> dict[str, torch.Tensor]:
        raise OSError("No space left on device")

    def load_state_dict(self, state: object, /) -> None:
        raise AssertionError


def model_and_optimiser(seed: int) -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(seed)
    model = nn.Linear(3, 2)
    return model, torch.optim.AdamW(model.parameters(), lr=0.1)


def step(model: nn.Module, optimiser: torch.optim.Optimizer) -> None:
    model(torch.ones(1, 3)).square().sum().backward()
    optimiser.step()
    optimiser.zero_grad()


def test_without_a_file_a_run_starts(tmp_path: Path) -> None:
    assert Checkpoint(tmp_path / "last.pt", {}).resume() == Progress(0, 0.0, 0)


def test_a_resumed_run_continues_like_an_uninterrupted_one(tmp_path: Path) -> None:
    model, adam = model_and_optimiser(0)
    step(model, adam)
    Checkpoint(tmp_path / "last.pt", {"model": model, "adam": adam}).save(Progress(1, 2.5))
    again, its_adam = model_and_optimiser(1)
    progress = Checkpoint(tmp_path / "last.pt", {"model": again, "adam": its_adam}).resume()
    assert (progress.step, progress.spent_s) == (1, 2.5)
    for one, optimiser in ((model, adam), (again, its_adam)):
        step(one, optimiser)
    for ours, theirs in zip(model.parameters(), again.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_every_resumption_counts_a_session(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "last.pt", {})
    checkpoint.save(Progress(7, 1.0, session=0))
    checkpoint.save(checkpoint.resume())
    assert checkpoint.resume().session == 2


def test_a_failed_save_leaves_the_file_before(tmp_path: Path) -> None:
    Checkpoint(tmp_path / "last.pt", {}).save(Progress(7, 1.0))
    with pytest.raises(OSError):
        Checkpoint(tmp_path / "last.pt", {"part": Unwritable()}).save(Progress(8, 2.0))
    assert Checkpoint(tmp_path / "last.pt", {}).resume().step == 7


@pytest.mark.parametrize("content", [b"", b"precious", b"PK\x03\x04 half a zip"])
def test_a_damaged_file_is_an_error_and_stays(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "last.pt").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"last\.pt"):
        Checkpoint(tmp_path / "last.pt", {}).resume()
    assert (tmp_path / "last.pt").read_bytes() == content


def test_a_file_of_another_model_or_without_a_part_is_an_error(tmp_path: Path) -> None:
    Checkpoint(tmp_path / "last.pt", {"model": nn.Linear(3, 2)}).save(Progress(1, 1.0))
    with pytest.raises(CheckpointError):
        Checkpoint(tmp_path / "last.pt", {"model": nn.Linear(4, 2)}).resume()
    with pytest.raises(CheckpointError, match="heads"):
        Checkpoint(tmp_path / "last.pt", {"heads": nn.Linear(3, 2)}).resume()
