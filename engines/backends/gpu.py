"""The CUDA calls that running a TensorRT engine needs, through NVIDIA's cuda-bindings.

Not through torch.cuda: a process that reopens an engine then does not import torch, and torch's CPU build is
sufficient.
"""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from engines.backends.graph import Array
from streaming.errors import BackendUnavailable

_DRIVER_REMEDY: Final = (
    "Install an NVIDIA driver for CUDA 13 (580 or newer), or set backend to openvino or torch."
)


@dataclass(frozen=True, slots=True)
class Gpu:
    """The GPU that this process uses: CUDA device 0."""

    name: str
    capability: tuple[int, int]
    "Compute capability: (9, 0) is an H100."
    driver: int
    "Newest CUDA version that its driver supports: 13000 is 13.0."


def find_gpu() -> Gpu:
    """Return CUDA device 0. Raises BackendUnavailable without a GPU, driver or cuda-bindings."""
    cuda = _runtime()
    (count,) = _checked(cuda.cudaGetDeviceCount(), remedy=_DRIVER_REMEDY)
    if count == 0:
        raise BackendUnavailable("There is no CUDA device.", remedy=_DRIVER_REMEDY)
    (found,) = _checked(cuda.cudaGetDeviceProperties(0))
    (driver,) = _checked(cuda.cudaDriverGetVersion())
    return Gpu(found.name.decode(), (found.major, found.minor), driver)


class DeviceMemory:
    """Memory on the GPU, freed with this object."""

    def __init__(self, nbytes: int) -> None:
        cuda = _runtime()
        self.nbytes = nbytes
        (self.device,) = _checked(cuda.cudaMalloc(max(nbytes, 1)))
        "Address."
        weakref.finalize(self, cuda.cudaFree, self.device)


class PinnedBuffer:
    """Memory on the GPU and page-locked host memory of the same size, freed with this object."""

    def __init__(self, nbytes: int) -> None:
        cuda = _runtime()
        self._memory = DeviceMemory(nbytes)
        self.device = self._memory.device
        "Address on the GPU."
        (self._host,) = _checked(cuda.cudaMallocHost(nbytes))
        self._bytes = np.ctypeslib.as_array((ctypes.c_uint8 * nbytes).from_address(self._host))
        weakref.finalize(self, cuda.cudaFreeHost, self._host)

    def array(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """Return an array on the host memory, from its start."""
        return self._bytes[: _nbytes(shape, dtype)].view(dtype).reshape(shape)

    def upload(self, nbytes: int, stream: CudaStream) -> None:
        """Queue a copy to the GPU."""
        kind = _runtime().cudaMemcpyKind.cudaMemcpyHostToDevice
        _checked(_runtime().cudaMemcpyAsync(self.device, self._host, nbytes, kind, stream.handle))

    def download(self, nbytes: int, stream: CudaStream) -> None:
        """Queue a copy to the host."""
        kind = _runtime().cudaMemcpyKind.cudaMemcpyDeviceToHost
        _checked(_runtime().cudaMemcpyAsync(self._host, self.device, nbytes, kind, stream.handle))


class CudaStream:
    """A CUDA stream."""

    def __init__(self) -> None:
        (handle,) = _checked(_runtime().cudaStreamCreate())
        self.handle = int(handle)
        weakref.finalize(self, _runtime().cudaStreamDestroy, self.handle)

    def wait(self) -> None:
        """Block until all queued work is done."""
        _checked(_runtime().cudaStreamSynchronize(self.handle))

    def record(self, queue: Callable[[], None]) -> Callable[[], None]:
        """Record the work that `queue` queues as a CUDA graph; returns a function that launches it."""
        cuda = _runtime()
        mode = cuda.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        _checked(cuda.cudaStreamBeginCapture(self.handle, mode))
        queue()
        (graph,) = _checked(cuda.cudaStreamEndCapture(self.handle))
        (ready,) = _checked(cuda.cudaGraphInstantiate(graph, 0))
        _checked(cuda.cudaGraphDestroy(graph))
        weakref.finalize(self, cuda.cudaGraphExecDestroy, ready)

        def launch() -> None:
            _checked(cuda.cudaGraphLaunch(ready, self.handle))

        return launch


def _nbytes(shape: tuple[int, ...], dtype: np.dtype[Any]) -> int:
    return int(np.prod(shape)) * dtype.itemsize


def _runtime() -> Any:
    try:
        from cuda.bindings import runtime
    except ImportError as exc:
        raise BackendUnavailable(
            "NVIDIA's cuda-bindings is not installed.", remedy="Run pip install 'saccade[tensorrt]'."
        ) from exc
    return runtime


def _checked(result: tuple[Any, ...], remedy: str = "") -> tuple[Any, ...]:
    """Return the values of a CUDA call. Raises BackendUnavailable if it failed."""
    error, *values = result
    if error != 0:
        _, message = _runtime().cudaGetErrorString(error)
        raise BackendUnavailable(f"CUDA error: {message.decode()}.", remedy=remedy)
    return tuple(values)
