"""Interfaces between models and backends.

A `Graph` is a torch module with named inputs of fixed shapes; the batch dimension (objects) may be open. A
`Backend` compiles it into a `Program`, which holds the weights and is shared by threads. Each thread takes a
`Runner` of its own and calls it with numpy arrays.

This module does not import torch: a process that only runs cached programs does not need it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor, nn

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Port:
    """One input of a graph."""

    name: str
    shape: tuple[int | None, ...]
    "None for an open dimension."
    dtype: str = "float32"
    '"uint8", "int64", "bool" or "float32".'

    def example(self, open_size: int) -> Tensor:
        """Return zeros of this port's shape and dtype; open dimensions have `open_size`."""
        import torch

        shape = [open_size if size is None else size for size in self.shape]
        return torch.zeros(shape, dtype=getattr(torch, self.dtype))


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """What int8 needs to know of a graph (see `int8.py`)."""

    inputs: Callable[[], Sequence[tuple[Array, ...]]]
    "Returns typical inputs, in the order of the ports."
    ignored_scope: tuple[str, ...]
    """Regular expressions for the names of nodes that stay in floating point (NNCF's IgnoredScope); a node's
    name contains the path of its module."""


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """A module with its input ports, in order, and its output names."""

    name: str
    module: nn.Module
    "In eval mode, float32; returns a tuple of tensors."
    ports: tuple[Port, ...]
    outputs: tuple[str, ...]
    fingerprint: str
    "Digest of the weights and the module's code: the cache key of every artifact made from the graph."
    calibration: Calibration | None = None
    "None where int8 gains nothing; the graph then stays in floating point."

    def examples(self) -> tuple[Tensor, ...]:
        """Return inputs for tracing. Open dimensions are 2: a 1 could be traced as a broadcast."""
        return tuple(port.example(2) for port in self.ports)


class Runner(Protocol):
    """Runs a program; not thread-safe."""

    def __call__(self, *inputs: Array) -> tuple[Array, ...]:
        """Return the outputs in the graph's order. Inputs are C-contiguous arrays of the ports' dtypes.

        The returned arrays are the runner's buffers, valid until its next call.
        """


class Program(Protocol):
    """A compiled graph; thread-safe."""

    def runner(self) -> Runner:
        """Create a runner for one thread."""


Precision = Literal["float32", "bfloat16", "int8"]
"""Of matrix products and convolutions; everything else, inputs and outputs included, is float32 (see
`bfloat16.py`). int8: of the products that gain by it, the others in the faster of the other two
(`int8.py`)."""

PrecisionChoice = Precision | Literal["auto"]
"auto: the faster of float32 and bfloat16 on this machine."


class Backend(Protocol):
    """Compiles and runs graphs."""

    @property
    def name(self) -> str:
        """Its name in the settings."""

    @property
    def compute_precision(self) -> Precision:
        """Precision of its products on this machine."""

    @property
    def caches_programs(self) -> bool:
        """Whether compiled programs are cached on disk for `reopen`."""

    def compile(self, graph: Graph) -> Program:
        """Compile a graph. Raises BackendUnavailable where this backend cannot."""

    def reopen(self, name: str, fingerprint: str) -> Program | None:
        """Return the cached program of a graph; None where it is missing or damaged."""
