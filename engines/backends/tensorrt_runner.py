"""Runs an engine of TensorRT: one CUDA stream, and buffers for as many objects as the engine takes.

Each number of objects has an execution context of its own, for a CUDA graph recorded of a context holds only
while that keeps its shapes; they share their scratch memory, since one runs at a time. The first call with a
number queues the copies and the engine one by one, and TensorRT chooses its kernels. As soon as it has them
all, the work is recorded as a CUDA graph, which later calls launch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from engines.backends.gpu import Buffer, Scratch, Stream
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
        return self.buffer.array((rows, *self.shape[1:]) if self.is_open else self.shape, self.dtype)


class TensorRtRunner:
    """An engine with its buffers. Arrays that it returns are its own memory: they end with it."""

    def __init__(self, runtime: Any, engine: Any, names: tuple[str, ...]) -> None:
        """`names`: of inputs and outputs in the graph's order, which the engine need not keep."""
        self._runtime, self._engine = runtime, engine
        self._stream = Stream()
        self._scratch = Scratch(engine.device_memory_size_v2)
        self._is_open = {name: engine.get_tensor_shape(name)[0] == -1 for name in names}
        inputs = [name for name in names if engine.get_tensor_mode(name) == runtime.TensorIOMode.INPUT]
        self._inputs: list[_Binding] = []
        self._outputs: list[_Binding] = []
        largest = (engine.get_tensor_profile_shape(name, 0)[2] for name in inputs if self._is_open[name])
        self._capacity = next((shape[0] for shape in largest), 1)
        full = self._context_for(self._capacity, inputs)
        for name in names:
            shape = tuple(full.get_tensor_shape(name))  # of an output, only a context knows it
            dtype = np.dtype(runtime.nptype(engine.get_tensor_dtype(name)))
            buffer = Buffer(int(np.prod(shape)) * dtype.itemsize)
            binding = _Binding(name, shape, dtype, self._is_open[name], buffer)
            (self._inputs if name in inputs else self._outputs).append(binding)
        self._contexts: dict[int, Any] = {}
        self._launches: dict[int, Callable[[], None]] = {}

    def __call__(self, *inputs: Array) -> tuple[Array, ...]:
        """See `Runner`. Raises LimitReached for more objects than the engine was built for."""
        rows = self._rows(inputs)
        for binding, array in zip(self._inputs, inputs, strict=True):
            np.copyto(binding.array(rows), array, casting="no")
        if rows in self._launches:
            self._launches[rows]()
            self._stream.wait()
        else:
            self._first_calls(rows)
        return tuple(binding.array(rows) for binding in self._outputs)

    def _rows(self, inputs: tuple[Array, ...]) -> int:
        pairs = zip(self._inputs, inputs, strict=True)
        rows = next((len(array) for binding, array in pairs if binding.is_open), 1)
        if rows > self._capacity:
            raise LimitReached(
                f"{rows} objects are more than the {self._capacity} this engine was built for.",
                remedy="Set max_tracks_per_stream, and let it be built again.",
            )
        return rows

    def _first_calls(self, rows: int) -> None:
        context = self._contexts.get(rows) or self._bound(rows)
        self._enqueue(context, rows)
        self._stream.wait()
        if _has_its_kernels(context, self._stream):
            self._launches[rows] = self._stream.record(lambda: self._enqueue(context, rows))

    def _bound(self, rows: int) -> Any:
        context = self._context_for(rows, [binding.name for binding in self._inputs])
        for binding in (*self._inputs, *self._outputs):
            context.set_tensor_address(binding.name, binding.buffer.device)
        return self._contexts.setdefault(rows, context)

    def _context_for(self, rows: int, inputs: list[str]) -> Any:
        strategy = self._runtime.ExecutionContextAllocationStrategy.USER_MANAGED
        context = self._engine.create_execution_context(strategy)
        if context is None:
            raise BackendUnavailable("The GPU has no memory left for another engine.")
        context.set_device_memory(self._scratch.device, self._scratch.nbytes)
        for name in inputs:
            if self._is_open[name]:
                context.set_input_shape(name, (rows, *self._engine.get_tensor_shape(name)[1:]))
        return context

    def _enqueue(self, context: Any, rows: int) -> None:
        for binding in self._inputs:
            binding.buffer.upload(binding.array(rows).nbytes, self._stream)
        if not context.execute_async_v3(self._stream.handle):
            raise BackendUnavailable("TensorRT could not run its engine; its log says why.")
        for binding in self._outputs:
            binding.buffer.download(binding.array(rows).nbytes, self._stream)


def _has_its_kernels(context: Any, stream: Stream) -> bool:
    """TensorRT-RTX may still be compiling some, and says so; the other one has them once it has run."""
    ask = getattr(context, "is_stream_capturable", None)
    return ask is None or bool(ask(stream.handle))
