"""Eager PyTorch on the CPU, with which the other backends are compared."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from engines.backends.graph import Array, Graph, Precision


@dataclass(frozen=True, slots=True)
class TorchBackend:
    """Runs graphs eagerly, in float32 on the CPU."""

    threads: int = 1
    "CPU threads of every torch operation in the process; torch has no narrower setting."

    @property
    def name(self) -> str:
        """Its name in the settings."""
        return "torch"

    @property
    def compute_precision(self) -> Precision:
        """Always float32."""
        return "float32"

    @property
    def caches_programs(self) -> bool:
        """Always False: nothing is compiled."""
        return False

    def compile(self, graph: Graph) -> TorchProgram:
        """Wrap the module; nothing is compiled."""
        torch.set_num_threads(self.threads)
        return TorchProgram(graph)

    def reopen(self, name: str, fingerprint: str) -> None:
        """Return None: nothing is cached."""


@dataclass(frozen=True, slots=True, eq=False)
class TorchProgram:
    """A module; also its own runner, since calls share no state."""

    graph: Graph

    def runner(self) -> TorchProgram:
        """Return itself."""
        return self

    def __call__(self, *inputs: Array) -> tuple[Array, ...]:
        """See `Runner`."""
        with torch.inference_mode():
            outputs = self.graph.module(*(torch.from_numpy(array) for array in inputs))
        return tuple(output.numpy() for output in outputs)
