"""The typed copy: products in bfloat16, all that must be exact in float32."""

from __future__ import annotations

from functools import cache

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from engines.backends.bfloat16 import to_bfloat16
from engines.backends.checking import Call
from engines.backends.graph import Array
from engines.backends.tracing import trace
from engines.geometry import mask_iou
from tests.nano_cases import nano_cases

EXACT = {
    "LayerNormalization",
    "Softmax",
    "Add",
    "Sub",
    "Mul",
    "Div",
    "Erf",
    "Sin",
    "Cos",
    "Sigmoid",
    "Where",
    "Gemm",
}
NAMES = ("encode", "prompt", "track")


@cache
def copy_of(name: str) -> tuple[Call, onnx.ModelProto]:
    (case,) = [case for case in nano_cases() if case.graph.name == name]
    return case, onnx.load_model_from_string(to_bfloat16(traced(name)))


@cache
def traced(name: str) -> bytes:
    (case,) = [case for case in nano_cases() if case.graph.name == name]
    return trace(case.graph)


@cache
def evaluated(name: str) -> tuple[Array, ...]:
    case, model = copy_of(name)
    inputs = {port.name: array for port, array in zip(case.graph.ports, case.inputs, strict=True)}
    return tuple(ReferenceEvaluator(model).run(None, inputs))


def typed(model: onnx.ModelProto) -> dict[str, int]:
    """Element types by name, as onnx infers them."""
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    values = [*inferred.input, *inferred.output, *inferred.value_info]
    return {value.name: value.type.tensor_type.elem_type for value in values} | {
        tensor.name: tensor.data_type for tensor in inferred.initializer
    }


@pytest.mark.parametrize("name", NAMES)
def test_the_copy_holds_and_its_inputs_and_outputs_are_as_before(name: str) -> None:
    case, model = copy_of(name)
    onnx.checker.check_model(model, full_check=True)
    assert [value.name for value in model.graph.input] == [port.name for port in case.graph.ports]
    assert [value.name for value in model.graph.output] == list(case.graph.outputs)
    kinds = typed(model)
    assert all(kinds[name] == onnx.TensorProto.FLOAT for name in case.graph.outputs)


@pytest.mark.parametrize("name", ["encode", "track"])
def test_products_are_bfloat16_and_what_must_be_exact_is_float32(name: str) -> None:
    _, model = copy_of(name)
    kinds = typed(model)
    of = {
        kind: {kinds[node.output[0]] for node in model.graph.node if node.op_type == kind} for kind in EXACT
    }
    assert all(found <= {onnx.TensorProto.FLOAT, onnx.TensorProto.INT64} for found in of.values())
    products = [node for node in model.graph.node if node.op_type in {"MatMul", "Conv"}]
    assert products
    assert {kinds[value] for node in products for value in (*node.input, *node.output)} == {
        onnx.TensorProto.BFLOAT16
    }


def test_the_heads_are_float32_to_the_end() -> None:
    _, model = copy_of("track")
    heads = {node.name.split("/")[-3] for node in model.graph.node if node.op_type == "Gemm"}
    assert heads >= {"iou_prediction_head", "pred_obj_score_head", "project"}


def test_a_choice_by_one_hot_rows_is_not_rounded() -> None:
    choice = onnx.parser.parse_model(
        """
        <ir_version: 9, opset_import: ["" : 18]>
        picks (int64[n] best, float[3, 5] rows) => (float[n, 5] picked)
        <int64 depth = {3}, float[2] values = {0, 1}>
        { hot = OneHot <axis = -1> (best, depth, values)
          picked = MatMul(hot, rows) }
        """
    )
    copy = onnx.load_model_from_string(to_bfloat16(choice.SerializeToString()))
    rows = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)
    (picked,) = ReferenceEvaluator(copy).run(None, {"best": np.array([2, 0]), "rows": rows})
    assert np.array_equal(picked, rows[[2, 0]])


@pytest.mark.parametrize("name", NAMES)
def test_weights_take_little_more_than_half(name: str) -> None:
    _, model = copy_of(name)
    assert model.ByteSize() < 0.7 * len(traced(name))


@pytest.mark.parametrize("name", NAMES)
def test_the_copy_gives_what_torch_gives_but_for_a_few_percent(name: str) -> None:
    """Run by ONNX's reference evaluator, which rounds where the types say so; with trained weights."""
    case, _ = copy_of(name)
    differences = case.differences(evaluated(name))
    assert max(differences.values()) < 0.05, differences


def test_the_copy_draws_the_same_masks() -> None:
    case, _ = copy_of("track")
    logits = case.graph.outputs.index("logits")
    drawn, wanted = evaluated("track")[logits] > 0, case.expected[logits] > 0
    assert wanted.any()
    assert mask_iou(drawn, wanted) > 0.98
