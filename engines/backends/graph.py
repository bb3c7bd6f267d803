"""What a backend is given, and what it gives back.

A `Graph` is a torch module with named inputs of fixed shapes, one dimension of which may be left open
(the batch of objects). A `Backend` compiles it into a `Program`, which holds the weights and may be shared
by threads; each thread takes a `Runner` of its own and calls it with numpy arrays.

Whoever only runs programs that were kept needs no torch, so it is imported by who makes graphs.
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
    "None where the size is open."
    dtype: str = "float32"
    '"uint8", "int64", "bool" or "float32".'

    def example(self, open_size: int) -> Tensor:
        """Zeros of this port's shape and type."""
        import torch

        shape = [open_size if size is None else size for size in self.shape]
        return torch.zeros(shape, dtype=getattr(torch, self.dtype))


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """What a graph in int8 is made by (see `int8.py`)."""

    inputs: Callable[[], Sequence[tuple[Array, ...]]]
    "Makes inputs as they occur."
    exact: tuple[str, ...]
    "What stays as it is: regular expressions for names of nodes, which tell the modules that they are of."


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """A module with the ports it is called with, in order."""

    name: str
    module: nn.Module
    "In eval mode, float32; returns a tuple of tensors."
    ports: tuple[Port, ...]
    outputs: tuple[str, ...]
    fingerprint: str
    "Changes with the weights and with the code of the module: the key of whatever a backend keeps on disk."
    calibration: Calibration | None = None
    "None where int8 gains nothing: the graph is then the same in it as in float32."

    def examples(self) -> tuple[Tensor, ...]:
        """Inputs to trace the module with; open sizes are 2, so that no 1 is taken for a broadcast."""
        return tuple(port.example(2) for port in self.ports)


class Runner(Protocol):
    """Runs a program. One thread at a time."""

    def __call__(self, *inputs: Array) -> tuple[Array, ...]:
        """Outputs in the graph's order; inputs must be C-contiguous and of the ports' types.

        The arrays returned are valid until the runner is called again: copy what must last.
        """
        ...


class Program(Protocol):
    """A compiled graph, shared by any number of threads."""

    def runner(self) -> Runner:
        """A way to run it for one thread."""
        ...


Precision = Literal["float32", "bfloat16", "int8"]
"""Of products; all else, inputs and outputs too, is float32 (see `bfloat16.py`). int8: of those that gain by
it, the others in the faster of the rest (see `int8.py`)."""

PrecisionChoice = Precision | Literal["auto"]
"auto: the faster of float32 and bfloat16."


class Backend(Protocol):
    """Something that runs graphs."""

    @property
    def name(self) -> str:
        """Its name in the settings."""
        ...

    @property
    def computes_in(self) -> Precision:
        """What its products are in, on this machine."""
        ...

    @property
    def keeps_programs(self) -> bool:
        """Whether `reopen` ever finds one."""
        ...

    def compile(self, graph: Graph) -> Program:
        """Make a graph ready to run. Raises BackendUnavailable where this backend cannot."""
        ...

    def reopen(self, name: str, fingerprint: str) -> Program | None:
        """What `compile` made of the graph of this name and fingerprint; None if it was not kept well."""
        ...
