"""Parity checks run each graph on the outputs of the graphs before it."""

from __future__ import annotations

import numpy as np
import pytest
from torch import Tensor, nn

from engines.backends.graph import Graph, Port
from engines.backends.parity_check import ParityReference
from tests.toy_graph import toy_graph


class Twice(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor]:
        return (2 * x,)


def twice(port: Port, output: str) -> Graph:
    return Graph("twice", Twice(), (port,), (output,), "1")


def test_outputs_become_inputs_of_later_graphs_by_name() -> None:
    reference = ParityReference({"x": np.ones((3, 2), np.float32)}, objects=3)
    first = reference.call(twice(Port("x", (None, 2)), "y"))
    second = reference.call(twice(Port("y", (None, 2)), "z"))
    assert np.array_equal(second.inputs[0], first.expected[0])
    assert (second.expected[0] == 4).all()


def test_a_value_of_one_slot_is_repeated_in_all_slots() -> None:
    reference = ParityReference({"memory": np.array([[1, 2], [3, 4]], np.float32)}, objects=2)
    call = reference.call(twice(Port("memory", (None, 3, 2)), "y"))
    assert call.inputs[0].shape == (2, 3, 2)
    assert (call.inputs[0] == [[[1, 2]], [[3, 4]]]).all()


def test_unknown_inputs_are_random_and_reproducible() -> None:
    first, again = (ParityReference(objects=3).call(toy_graph()) for _ in range(2))
    pixels, rows, bias = first.inputs
    assert (pixels.dtype, pixels.max() > 1) == (np.uint8, True)
    assert (rows.shape, bias.shape) == ((3, 8), (3, 16))
    assert set(np.unique(rows)) == {0, 1}
    assert all(np.array_equal(a, b) for a, b in zip(first.inputs, again.inputs, strict=True))


def test_differences_are_relative_to_torchs_rms() -> None:
    call = ParityReference({"x": np.ones((1, 2), np.float32)}).call(twice(Port("x", (1, 2)), "y"))
    assert call.differences(call.expected) == {"y": 0}
    (difference,) = call.differences((call.expected[0] * 1.5,)).values()
    assert difference == pytest.approx(0.5)
