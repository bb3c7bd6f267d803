"""The TensorRT runner on a numpy engine in host memory; tests/gpu runs it on a real engine."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from enum import Enum
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from engines.backends import tensorrt_runner
from engines.backends.graph import Array
from engines.backends.tensorrt_runner import TensorRtRunner
from streaming.errors import LimitReached

CAPACITY = 3
SHAPES = {"image": (4,), "rows": (-1, 2), "sums": (-1,), "all": (4,)}
"""sums (B,) = the sum of each row plus that of the image; doubled (4,) = twice the image."""


class Mode(Enum):
    INPUT = 0
    OUTPUT = 1


class HostBuffer:
    """Two host arrays in place of device memory and page-locked memory."""

    def __init__(self, nbytes: int) -> None:
        self._host, self._device = np.zeros(nbytes, np.uint8), np.zeros(nbytes, np.uint8)
        self.device = self._device.ctypes.data

    def array(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        return self._host[: int(np.prod(shape)) * dtype.itemsize].view(dtype).reshape(shape)

    def upload(self, nbytes: int, stream: object) -> None:
        self._device[:nbytes] = self._host[:nbytes]

    def download(self, nbytes: int, stream: object) -> None:
        self._host[:nbytes] = self._device[:nbytes]


class HostMemory:
    def __init__(self, nbytes: int) -> None:
        self.nbytes, self.device = nbytes, 11


class HostStream:
    """Runs queued work at once and counts recordings."""

    recorded = 0
    handle = 7

    def wait(self) -> None:
        pass

    def record(self, queue: Callable[[], None]) -> Callable[[], None]:
        HostStream.recorded += 1
        return queue


class Context:
    """An execution context with shapes and addresses by name, capturable after a number of runs."""

    def __init__(self, runs_before_capture: int) -> None:
        self._shapes, self._addresses, self._left = dict(SHAPES), {}, runs_before_capture
        self._memory = 0

    def set_device_memory(self, address: int, size: int) -> None:
        self._memory = address

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> None:
        self._shapes[name] = shape

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return self._shapes["rows"][:1] if name == "sums" else self._shapes[name]

    def set_tensor_address(self, name: str, address: int) -> None:
        self._addresses[name] = address

    def is_stream_capturable(self, handle: int) -> bool:
        return self._left <= 0

    def execute_async_v3(self, handle: int) -> bool:
        assert self._memory == 11
        self._left -= 1
        image, rows, sums, doubled = (self._tensor(name) for name in SHAPES)
        sums[:] = rows.sum(axis=1) + image.sum()
        doubled[:] = 2 * image
        return True

    def _tensor(self, name: str) -> Array:
        shape = self.get_tensor_shape(name)
        count = int(np.prod(shape))
        pointer = (ctypes.c_float * count).from_address(self._addresses[name])
        return np.ctypeslib.as_array(pointer).reshape(shape)


def engine(runs_before_capture: int) -> Any:
    return SimpleNamespace(
        create_execution_context=lambda strategy: Context(runs_before_capture),
        device_memory_size_v2=100,
        get_tensor_mode=lambda name: Mode.INPUT if name in ("image", "rows") else Mode.OUTPUT,
        get_tensor_shape=SHAPES.__getitem__,
        get_tensor_dtype=lambda name: "float32",
        get_tensor_profile_shape=lambda name, profile: ((1, 2), (1, 2), (CAPACITY, 2)),
    )


def runner(runs_before_capture: int = 1) -> TensorRtRunner:
    strategies = SimpleNamespace(USER_MANAGED=2)
    runtime = SimpleNamespace(
        TensorIOMode=Mode, nptype=np.dtype, ExecutionContextAllocationStrategy=strategies
    )
    return TensorRtRunner(runtime, engine(runs_before_capture), tuple(SHAPES))


@pytest.fixture(autouse=True)
def on_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorrt_runner, "PinnedBuffer", HostBuffer)
    monkeypatch.setattr(tensorrt_runner, "DeviceMemory", HostMemory)
    monkeypatch.setattr(tensorrt_runner, "CudaStream", HostStream)
    monkeypatch.setattr(HostStream, "recorded", 0)


def inputs(rows: int, seed: int = 0) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=4).astype(np.float32), rng.normal(size=(rows, 2)).astype(np.float32)


def test_every_batch_size_up_to_the_capacity_has_its_own_output_shape() -> None:
    run = runner()
    for rows in (1, 3, 2, 3, 1):
        image, rows_in = inputs(rows, seed=rows)
        sums, doubled = run(image, rows_in)
        np.testing.assert_allclose(sums, rows_in.sum(axis=1) + image.sum(), rtol=1e-6)
        np.testing.assert_allclose(doubled, 2 * image)


def test_each_batch_size_is_recorded_once() -> None:
    run = runner()
    for rows in (1, 2, 1, 2, 2):
        run(*inputs(rows))
    assert HostStream.recorded == 2


def test_calls_are_queued_until_the_context_can_be_captured() -> None:
    """TensorRT-RTX continues to select kernels during the first calls."""
    run = runner(runs_before_capture=3)
    recorded = []
    for seed in range(5):
        image, rows_in = inputs(2, seed)
        sums, _ = run(image, rows_in)
        np.testing.assert_allclose(sums, rows_in.sum(axis=1) + image.sum(), rtol=1e-6)
        recorded.append(HostStream.recorded)
    assert recorded == [0, 0, 1, 1, 1]


def test_more_objects_than_the_capacity_are_refused() -> None:
    with pytest.raises(LimitReached, match=f"4 objects are more than the {CAPACITY}"):
        runner()(*inputs(4))


def test_an_input_of_another_dtype_raises_type_error() -> None:
    image, rows = inputs(1)
    with pytest.raises(TypeError):
        runner()(image.astype(np.float64), rows)
