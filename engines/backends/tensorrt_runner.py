"""Runs a TensorRT engine: one CUDA stream, and buffers for as many objects as the engine takes.

Each batch size has an execution context of its own, because a CUDA graph recorded from a context is valid
only while its shapes stay; contexts share their scratch memory, since one runs at a time. The first calls
with a batch size queue copies and engine one by one while TensorRT selects kernels. Once it has them, the
work is recorded as a CUDA graph, which later calls launch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from engines.backends.gpu import CudaStream, DeviceMemory, PinnedBuffer
from engines.backends.graph import Array
from streaming.errors import BackendUnavailable, LimitReached


@dataclass(frozen=True, slots=True, eq=False)
class _Binding:
    name: str
    shape: tuple[int, ...]
    "At full capacity."
    dtype: np.dtype[Any]
    is_open: bool
    "Whether its first dimension is the batch of objects."
    buffer: PinnedBuffer

    def array(self, rows: int) -> Array:
        """Return the host array for a number of objects."""
        return self.buffer.array((rows, *self.shape[1:]) if self.is_open else self.shape, self.dtype)


class TensorRtRunner:
    """An engine with its buffers. Returned arrays are its host buffers, valid until the next call."""

    def __init__(self, runtime: Any, engine: Any, names: tuple[str, ...]) -> None:
        """names: inputs and outputs in the graph's order, which may differ from the engine's."""
        self._runtime, self._engine = runtime, engine
        self._stream = CudaStream()
        self._scratch = DeviceMemory(engine.device_memory_size_v2)
        self._is_open = {name: engine.get_tensor_shape(name)[0] == -1 for name in names}
        inputs = [name for name in names if engine.get_tensor_mode(name) == runtime.TensorIOMode.INPUT]
        self._inputs: list[_Binding] = []
        self._outputs: list[_Binding] = []
        largest = (engine.get_tensor_profile_shape(name, 0)[2] for name in inputs if self._is_open[name])
        self._capacity = next((shape[0] for shape in largest), 1)
        full = self._context_for(self._capacity, inputs)
        for name in names:
            shape = tuple(full.get_tensor_shape(name))  # output shapes are available from contexts only
            dtype = np.dtype(runtime.nptype(engine.get_tensor_dtype(name)))
            buffer = PinnedBuffer(int(np.prod(shape)) * dtype.itemsize)
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
                remedy="Raise max_tracks_per_stream; the engine is then built again.",
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
            raise BackendUnavailable("TensorRT could not run its engine; its log has the reason.")
        for binding in self._outputs:
            binding.buffer.download(binding.array(rows).nbytes, self._stream)


def _has_its_kernels(context: Any, stream: CudaStream) -> bool:
    """Whether kernels are final: TensorRT-RTX may still compile some, `tensorrt` has them after a run."""
    is_capturable = getattr(context, "is_stream_capturable", None)
    return is_capturable is None or bool(is_capturable(stream.handle))
