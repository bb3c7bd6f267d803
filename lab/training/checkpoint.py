"""`last.pt`: the state of a training run, written whole or not at all."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

from streaming.errors import CheckpointError


@dataclass(frozen=True, slots=True)
class Progress:
    """How much of a run is done."""

    step: int = 0
    "Optimiser steps taken."
    spent_s: float = 0.0
    "Seconds trained, of all sessions."
    session: int = 0
    "How often the run was resumed. Seeds of samples depend on it, so that a resumed run draws new samples."


class Stateful(Protocol):
    """A part of a checkpoint: a module, an optimiser, a curriculum."""

    def state_dict(self) -> Any:
        """Return tensors and numbers by name."""

    def load_state_dict(self, state: Any, /) -> Any:
        """Restore what `state_dict` returned. Raises KeyError, ValueError or RuntimeError for another's."""


class Checkpoint:
    """Parts of a run by name, stored in one file."""

    def __init__(self, path: Path, parts: Mapping[str, Stateful]) -> None:
        self._path = path
        self._parts = parts

    def save(self, progress: Progress) -> None:
        """Write a new file beside the old one and rename it over that: a crash leaves the old one."""
        state = {name: part.state_dict() for name, part in self._parts.items()}
        partial = self._path.with_suffix(".partial")
        torch.save(state | asdict(progress), partial)
        partial.replace(self._path)

    def resume(self) -> Progress:
        """Restore all parts; return `Progress()` where there is no file.

        Tensors are loaded to the CPU first: a run may move between a GPU and a CPU. Raises CheckpointError
        where the file is damaged or of another run.
        """
        if not self._path.is_file():
            return Progress()
        try:
            state = torch.load(self._path, weights_only=True, map_location="cpu")
            for name, part in self._parts.items():
                part.load_state_dict(state[name])
            return Progress(state["step"], state["spent_s"], state["session"] + 1)
        except (KeyError, ValueError, RuntimeError, EOFError, pickle.UnpicklingError) as exc:
            raise CheckpointError(
                f"{self._path} cannot be resumed: {exc!r}.", remedy="Train in another folder."
            ) from exc
