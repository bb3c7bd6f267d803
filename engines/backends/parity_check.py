"""Whether a backend gives what torch gives: graphs run in turn, each on what those before it gave."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engines.backends.graph import Array, Graph, Port
from engines.backends.torch_backend import TorchBackend


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """One call of a graph, and what torch makes of it."""

    graph: Graph
    inputs: tuple[Array, ...]
    expected: tuple[Array, ...]

    def differences(self, outputs: tuple[Array, ...]) -> dict[str, float]:
        """By output: root mean square of the difference from torch's, in parts of that of torch's."""
        pairs = zip(self.graph.outputs, outputs, self.expected, strict=True)
        return {name: _rms(ours - theirs) / max(_rms(theirs), 1e-12) for name, ours, theirs in pairs}


class Reference:
    """Calls graphs with torch. What one gives, later ones take where a port has its name."""

    def __init__(self, known: dict[str, Array] | None = None, *, objects: int = 2, threads: int = 1) -> None:
        """`known`: inputs by name; the rest is made up. `objects`: what open sizes are set to."""
        self._known = dict(known or {})
        self._objects = objects
        self._torch = TorchBackend(threads)
        self._random = np.random.default_rng(0)

    def call(self, graph: Graph) -> Call:
        """Run a graph on all that is known by now."""
        inputs = tuple(self._input(port) for port in graph.ports)
        outputs = self._torch.compile(graph).runner()(*inputs)
        expected = tuple(output.copy() for output in outputs)
        self._known |= dict(zip(graph.outputs, expected, strict=True))
        return Call(graph, inputs, expected)

    def _input(self, port: Port) -> Array:
        shape = tuple(self._objects if size is None else size for size in port.shape)
        value = self._known.get(port.name)
        if value is None:
            # Noise for a picture; else zeros and ones, which hold as a mask, a label, an age or a bias.
            high = 256 if port.dtype == "uint8" else 2
            return self._random.integers(0, high, shape).astype(port.dtype)
        if value.ndim < len(shape):  # one of many slots: all hold the same
            value = value[:, None]
        return np.array(np.broadcast_to(value, shape))


def _rms(values: Array) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))
