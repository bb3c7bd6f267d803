"""Modules are converted to standard ONNX models."""

from __future__ import annotations

import onnx
import pytest
import torch
from torch import Tensor, nn

from engines.backends.graph import Graph, Port
from engines.backends.tracing import BATCH, OPSET, trace
from tests.toy_graph import toy_graph


@pytest.fixture(scope="module")
def toy() -> onnx.ModelProto:
    return onnx.load_model_from_string(trace(toy_graph()))


def sizes(value: onnx.ValueInfoProto) -> list[int | str]:
    return [size.dim_param or size.dim_value for size in value.type.tensor_type.shape.dim]


def test_the_model_is_valid_standard_onnx(toy: onnx.ModelProto) -> None:
    onnx.checker.check_model(toy, full_check=True)
    assert [(one.domain, one.version) for one in toy.opset_import] == [("", OPSET)]


def test_inputs_and_outputs_have_the_graphs_names_and_one_open_dimension(toy: onnx.ModelProto) -> None:
    assert {value.name: sizes(value) for value in toy.graph.input} == {
        "pixels": [1, 4, 4, 3],
        "rows": [BATCH, 8],
        "bias": [BATCH, 16],
    }
    assert [value.name for value in toy.graph.output] == ["read", "peak"]
    assert all(sizes(value)[0] == BATCH for value in toy.graph.output)


def test_a_uint8_input_is_cast_first(toy: onnx.ModelProto) -> None:
    (first,) = [node for node in toy.graph.node if "pixels" in node.input]
    assert first.op_type == "Cast"


class Wasteful(nn.Module):
    """Uses one input of three, and the same weights twice."""

    def __init__(self) -> None:
        super().__init__()
        weight = torch.arange(12.0).reshape(3, 4)
        self.first, self.second = nn.Parameter(weight), nn.Parameter(weight.clone())

    def forward(self, before: Tensor, used: Tensor, after: Tensor) -> tuple[Tensor]:
        columns = torch.arange(used.shape[1])  # constant: its dimension is fixed
        return ((used * columns.float()) @ self.first + used @ self.second,)


def test_unused_inputs_stay_and_equal_weights_are_merged() -> None:
    ports = (Port("before", (2,)), Port("used", (None, 3)), Port("after", (None, 5), "int64"))
    graph = Graph("wasteful", Wasteful().eval().requires_grad_(False), ports, ("sum",), "1")
    model = onnx.load_model_from_string(trace(graph))
    assert {value.name: sizes(value) for value in model.graph.input} == {
        "before": [2],
        "used": [BATCH, 3],
        "after": [BATCH, 5],
    }
    assert model.graph.input[2].type.tensor_type.elem_type == onnx.TensorProto.INT64
    assert [list(one.dims) for one in model.graph.initializer].count([3, 4]) == 1


def test_constants_are_folded() -> None:
    graph = Graph(
        "w",
        Wasteful().eval().requires_grad_(False),
        (Port("before", (2,)), Port("used", (1, 3)), Port("after", (1,))),
        ("sum",),
        "1",
    )
    model = onnx.load_model_from_string(trace(graph))
    assert {node.op_type for node in model.graph.node} == {"Mul", "MatMul", "Add"}
