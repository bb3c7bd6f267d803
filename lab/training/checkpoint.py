"""`last.pt`: what learns, what teaches it, and how far they are. Half a file is never there."""

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
    """How far a run is."""

    step: int = 0
    "Steps taken."
    spent_s: float = 0.0
    "Time trained, earlier sessions included."
    session: int = 0
    "How often the run was resumed: seeds of steps that a crash lost need not come again."


class Stateful(Protocol):
    """What a checkpoint keeps: a module, an optimiser."""

    def state_dict(self) -> Any:
        """Tensors and numbers by name."""

    def load_state_dict(self, state: Any, /) -> Any:
        """Be as `state_dict` said."""


class Checkpoint:
    """The parts of a run by name, kept in one file."""

    def __init__(self, path: Path, parts: Mapping[str, Stateful]) -> None:
        self._path = path
        self._parts = parts

    def save(self, progress: Progress) -> None:
        """Write beside the old file and rename over it."""
        state = {name: part.state_dict() for name, part in self._parts.items()}
        partial = self._path.with_suffix(".partial")
        torch.save(state | asdict(progress), partial)
        partial.replace(self._path)

    def resume(self) -> Progress:
        """Put the parts where they were; a beginning where nothing was saved.

        A run that began on a GPU goes on without one, and the other way round. Raises CheckpointError where
        the file is damaged or of another run.
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
