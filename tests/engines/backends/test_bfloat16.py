"""The bfloat16 copy: products in bfloat16, what must be precise in float32."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from engines.backends.bfloat16 import to_bfloat16
from engines.backends.graph import Array
from engines.backends.onnx_export import Exporter
from engines.backends.parity_check import ReferenceCall
from engines.geometry import mask_iou
from tests.nano_cases import nano_cases

FLOAT32_OPS = {
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


@dataclass(frozen=True)
class Copy:
    case: ReferenceCall
    model: onnx.ModelProto
    outputs: tuple[Array, ...]
    "By ONNX's reference evaluator, which rounds to the declared types."
    size: float
    "Relative to the float32 file."


@pytest.fixture(scope="module")
def copies(exports: Path) -> dict[str, Copy]:
    exporter = Exporter(exports)
    return {case.graph.name: copy_of(case, exporter) for case in nano_cases() if case.graph.name in NAMES}


def copy_of(case: ReferenceCall, exporter: Exporter) -> Copy:
    content, whole = (exporter.export(case.graph, kind).content for kind in ("bfloat16", "float32"))
    model = onnx.load_model_from_string(content)
    inputs = {port.name: array for port, array in zip(case.graph.ports, case.inputs, strict=True)}
    outputs = tuple(ReferenceEvaluator(model).run(None, inputs))
    return Copy(case, model, outputs, len(content) / len(whole))


def typed(model: onnx.ModelProto) -> dict[str, int]:
    """Return element types by name, as onnx infers them."""
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    values = [*inferred.input, *inferred.output, *inferred.value_info]
    return {value.name: value.type.tensor_type.elem_type for value in values} | {
        tensor.name: tensor.data_type for tensor in inferred.initializer
    }


@pytest.mark.parametrize("name", NAMES)
def test_the_copy_is_valid_and_has_the_same_inputs_and_outputs(copies: dict[str, Copy], name: str) -> None:
    case, model = copies[name].case, copies[name].model
    onnx.checker.check_model(model, full_check=True)
    assert [value.name for value in model.graph.input] == [port.name for port in case.graph.ports]
    assert [value.name for value in model.graph.output] == list(case.graph.outputs)
    kinds = typed(model)
    assert all(kinds[name] == onnx.TensorProto.FLOAT for name in case.graph.outputs)


@pytest.mark.parametrize("name", ["encode", "track"])
def test_products_are_bfloat16_and_elementwise_operations_float32(copies: dict[str, Copy], name: str) -> None:
    model = copies[name].model
    kinds = typed(model)
    of = {
        kind: {kinds[node.output[0]] for node in model.graph.node if node.op_type == kind}
        for kind in FLOAT32_OPS
    }
    assert all(found <= {onnx.TensorProto.FLOAT, onnx.TensorProto.INT64} for found in of.values())
    products = [node for node in model.graph.node if node.op_type in {"MatMul", "Conv"}]
    assert products
    assert {kinds[value] for node in products for value in (*node.input, *node.output)} == {
        onnx.TensorProto.BFLOAT16
    }


def test_the_heads_are_float32(copies: dict[str, Copy]) -> None:
    model = copies["track"].model
    heads = {node.name.split("/")[-3] for node in model.graph.node if node.op_type == "Gemm"}
    assert heads >= {"iou_prediction_head", "pred_obj_score_head", "project"}


def test_a_selection_by_one_hot_rows_is_not_rounded() -> None:
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
def test_the_file_is_less_than_0_7_of_the_float32_file(copies: dict[str, Copy], name: str) -> None:
    assert copies[name].size < 0.7


@pytest.mark.parametrize("name", NAMES)
def test_outputs_equal_torchs_within_one_percent(copies: dict[str, Copy], name: str) -> None:
    """With trained weights, relative to the outputs' RMS."""
    differences = copies[name].case.differences(copies[name].outputs)
    assert max(differences.values()) < 0.01, differences


def test_masks_equal_torchs(copies: dict[str, Copy]) -> None:
    case = copies["track"].case
    logits = case.graph.outputs.index("logits")
    masks, wanted = copies["track"].outputs[logits] > 0, case.expected[logits] > 0
    assert wanted.any()
    assert mask_iou(masks, wanted) > 0.99
