"""Compare a backend's outputs with torch's: graphs run in turn, each on the outputs of those before it.

A runtime can compute a graph wrong on one kind of CPU or GPU without an error. Met so far with OpenVINO
2026.4.1: attention of trained weights in float32, and a convolution in bfloat16 on CPUs with AMX.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from engines.backends.graph import Array, Backend, Graph, Port, Program
from engines.backends.torch_backend import TorchBackend
from streaming.errors import BackendUnavailable

MAX_DIFFERENCE: Final = 0.1
"""Largest accepted difference of an output (RMS relative to torch's). Measured for nano on the random inputs
used here: bfloat16 0.01, float32 2e-6."""
MAX_DIFFERENCE_INT8: Final = 0.5
"The same in int8, whose ranges were calibrated on other inputs than the random ones here: nano 0.22."


@dataclass(frozen=True, slots=True, eq=False)
class ReferenceCall:
    """One call of a graph with torch's outputs."""

    graph: Graph
    inputs: tuple[Array, ...]
    expected: tuple[Array, ...]

    def differences(self, outputs: tuple[Array, ...]) -> dict[str, float]:
        """Return, by output, the RMS difference from torch's output relative to its RMS."""
        pairs = zip(self.graph.outputs, outputs, self.expected, strict=True)
        return {name: _rms(ours - theirs) / max(_rms(theirs), 1e-12) for name, ours, theirs in pairs}


class ParityReference:
    """Runs graphs with torch. Outputs become inputs of later graphs with ports of the same name."""

    def __init__(self, known: dict[str, Array] | None = None, *, objects: int = 2, threads: int = 1) -> None:
        """`known`: inputs by name; others are random. `objects`: size of open dimensions."""
        self._known = dict(known or {})
        self._objects = objects
        self._torch = TorchBackend(threads)
        self._random = np.random.default_rng(0)

    def call(self, graph: Graph) -> ReferenceCall:
        """Run a graph on the known inputs and the outputs so far."""
        inputs = tuple(self._input(port) for port in graph.ports)
        outputs = self._torch.compile(graph).runner()(*inputs)
        expected = tuple(output.copy() for output in outputs)
        self._known |= dict(zip(graph.outputs, expected, strict=True))
        return ReferenceCall(graph, inputs, expected)

    def _input(self, port: Port) -> Array:
        shape = tuple(self._objects if size is None else size for size in port.shape)
        value = self._known.get(port.name)
        if value is None:
            # Noise for an image, else zeros and ones, which are valid as a mask, label, age and bias.
            high = 256 if port.dtype == "uint8" else 2
            return self._random.integers(0, high, shape).astype(port.dtype)
        if value.ndim < len(shape):  # a value of one slot: repeated in all slots
            value = value[:, None]
        return np.array(np.broadcast_to(value, shape))


def require_parity(backend: Backend, program: Program, call: ReferenceCall) -> dict[str, float]:
    """Return the differences of a backend's program; raise BackendUnavailable if one is too large."""
    difference = call.differences(program.runner()(*call.inputs))
    largest = MAX_DIFFERENCE_INT8 if backend.compute_precision == "int8" else MAX_DIFFERENCE
    for output, found in difference.items():
        if not found <= largest:
            raise BackendUnavailable(
                f"{backend.name} computes {output} of {call.graph.name} wrong on this machine: in "
                f"{backend.compute_precision} it differs by {found:.1%} from torch.",
                remedy="Set tracker_precision to float32, or backend to torch.",
            )
    return difference


def _rms(values: Array) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))
