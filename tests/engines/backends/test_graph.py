"""Ports and graphs."""

from __future__ import annotations

import torch
from torch import nn

from engines.backends.graph import Graph, Port


def test_an_open_dimension_takes_the_requested_size() -> None:
    example = Port("mask", (None, 4, 4)).example(3)
    assert example.shape == (3, 4, 4) and example.dtype == torch.float32


def test_an_example_has_the_dtype_of_its_port() -> None:
    assert Port("pixels", (1, 2, 2, 3), "uint8").example(1).dtype == torch.uint8
    assert Port("age", (None,), "int64").example(2).dtype == torch.int64


def test_a_graph_is_traced_with_more_than_one_object() -> None:
    graph = Graph("id", nn.Identity(), (Port("x", (None, 5)),), ("y",), "1")
    (example,) = graph.examples()
    assert example.shape == (2, 5)
