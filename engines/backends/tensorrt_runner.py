"""Runs an engine of TensorRT: one CUDA stream, and buffers for as many objects as the engine takes.

The first call with a number of objects queues the copies and the engine one by one, and lets TensorRT
choose its kernels; then all of it is recorded as one CUDA graph, which later calls with that number launch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from engines.backends.gpu import Buffer, Stream
from engines.backends.graph import Array
from streaming.errors import BackendUnavailable, LimitReached


@dataclass(frozen=True, slots=True, eq=False)
class _Binding:
    name: str
    shape: tuple[int, ...]
    "With as many objects as fit."
    dtype: np.dtype[Any]
    is_open: bool
    "Whether its first dimension is the number of objects."
    buffer: Buffer

    def array(self, rows: int) -> Array:
        """Its part of the host's memory, for so many objects."""
        return self.buffer.array(self.sized(rows), self.dtype)

    def sized(self, rows: int) -> tuple[int, ...]:
        return (rows, *self.shape[1:]) if self.is_open else self.shape

    def nbytes(self, rows: int) -> int:
        return int(np.prod(self.sized(rows))) * self.dtype.itemsize


class TensorRtRunner:
    """An execution context with its buffers. Arrays that it returns are its own memory: they end with it."""

    def __init__(self, runtime: Any, engine: Any, names: tuple[str, ...]) -> None:
        """`names`: of inputs and outputs in the graph's order, which the engine need not keep."""
        self._context = engine.create_execution_context()
        if self._context is None:
            raise BackendUnavailable("TensorRT has no memory left to run another engine on the GPU.")
        self._stream = Stream()
        is_input = {name: engine.get_tensor_mode(name) == runtime.TensorIOMode.INPUT for name in names}
        is_open = {name: engine.get_tensor_shape(name)[0] == -1 for name in names}
        for name in names:
            if is_input[name] and is_open[name]:
                _, _, largest = engine.get_tensor_profile_shape(name, 0)
                self._context.set_input_shape(name, tuple(largest))
        bindings = []
        for name in names:
            # Of an output only the context knows the shape, now that it knows that of its inputs.
            shape = tuple(self._context.get_tensor_shape(name))
            dtype = np.dtype(runtime.nptype(engine.get_tensor_dtype(name)))
            buffer = Buffer(int(np.prod(shape)) * dtype.itemsize)
            self._context.set_tensor_address(name, buffer.device)
            bindings.append(_Binding(name, shape, dtype, is_open[name], buffer))
        self._inputs = [one for one in bindings if is_input[one.name]]
        self._outputs = [one for one in bindings if not is_input[one.name]]
        self._launches: dict[int, Callable[[], None]] = {}

    def __call__(self, *inputs: Array) -> tuple[Array, ...]:
        """See `Runner`. Raises LimitReached for more objects than the engine was built for."""
        rows = self._rows(inputs)
        for binding, array in zip(self._inputs, inputs, strict=True):
            np.copyto(binding.array(rows), array, casting="no")
        if rows in self._launches:
            self._launches[rows]()
        else:
            self._enqueue(rows)
            self._stream.wait()
            self._launches[rows] = self._recorded(rows)
        self._stream.wait()
        return tuple(binding.array(rows) for binding in self._outputs)

    def _rows(self, inputs: tuple[Array, ...]) -> int:
        pairs = zip(self._inputs, inputs, strict=True)
        rows, capacity = next(((len(array), one.shape[0]) for one, array in pairs if one.is_open), (1, 1))
        if rows > capacity:
            raise LimitReached(
                f"{rows} objects are more than the {capacity} this engine was built for.",
                remedy="Set max_tracks_per_stream, and let it be built again.",
            )
        return rows

    def _recorded(self, rows: int) -> Callable[[], None]:
        if self._context.is_stream_capturable(self._stream.handle):
            return self._stream.record(lambda: self._enqueue(rows))
        return lambda: self._enqueue(rows)

    def _enqueue(self, rows: int) -> None:
        for binding in self._inputs:
            binding.buffer.upload(binding.nbytes(rows), self._stream)
            if binding.is_open:
                self._context.set_input_shape(binding.name, binding.sized(rows))
        if not self._context.execute_async_v3(self._stream.handle):
            raise BackendUnavailable("TensorRT could not run its engine; its log says why.")
        for binding in self._outputs:
            binding.buffer.download(binding.nbytes(rows), self._stream)
