"""Eager PyTorch: always there, and what the other backends are compared with."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from engines.backends.graph import Array, Graph, Precision


@dataclass(frozen=True, slots=True)
class TorchBackend:
    """Runs graphs as they are, in float32 on the CPU."""

    threads: int = 1
    "CPU threads of every torch operation in this process: torch knows no other scope."

    @property
    def name(self) -> str:
        """Its name in the settings."""
        return "torch"

    @property
    def computes_in(self) -> Precision:
        """Always the same."""
        return "float32"

    @property
    def keeps_programs(self) -> bool:
        """There is nothing to keep."""
        return False

    def compile(self, graph: Graph) -> TorchProgram:
        """Nothing to compile."""
        torch.set_num_threads(self.threads)
        return TorchProgram(graph)

    def reopen(self, name: str, fingerprint: str) -> None:
        """It keeps nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class TorchProgram:
    """A module, ready as it is; also its own runner, for it keeps nothing between calls."""

    graph: Graph

    def runner(self) -> TorchProgram:
        """Itself."""
        return self

    def __call__(self, *inputs: Array) -> tuple[Array, ...]:
        """See `Runner`."""
        with torch.inference_mode():
            outputs = self.graph.module(*(torch.from_numpy(array) for array in inputs))
        return tuple(output.numpy() for output in outputs)
