"""The reference backend."""

from __future__ import annotations

import numpy as np
import torch

from engines.backends.torch_backend import TorchBackend
from tests.toy_graph import toy_graph


def test_outputs_on_numpy_arrays_equal_the_modules() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (1, 4, 4, 3), np.uint8)
    rows, bias = rng.normal(size=(3, 8)).astype(np.float32), np.zeros((3, 16), np.float32)
    graph = toy_graph()
    outputs = TorchBackend().compile(graph).runner()(pixels, rows, bias)
    expected = graph.module(torch.from_numpy(pixels), torch.from_numpy(rows), torch.from_numpy(bias))
    for ours, theirs in zip(outputs, expected, strict=True):
        assert np.array_equal(ours, theirs.numpy())


def test_the_number_of_threads_is_applied() -> None:
    TorchBackend(threads=2).compile(toy_graph())
    assert torch.get_num_threads() == 2
    TorchBackend(threads=1).compile(toy_graph())
    assert torch.get_num_threads() == 1


def test_nothing_is_cached_to_reopen() -> None:
    TorchBackend().compile(toy_graph("toy-1"))
    assert TorchBackend().reopen("toy", "toy-1") is None
