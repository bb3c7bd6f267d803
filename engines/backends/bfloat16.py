"""Convert an ONNX model to bfloat16 matrix products and convolutions.

For runtimes that compute in the types written in the model (TensorRT 11 has no other way). Matrix products
and convolutions, which take the time, have bfloat16 inputs and outputs; so have operations between them that
only move or select values. Everything else stays float32 without being listed: what must be precise is
elementwise (LayerNorm, softmax, RoPE, attention biases, residual sums), heads are Gemm, ONNX's product of a
few rows (one per object: no time to gain), and a product with one-hot rows selects values. There is no
float16: sums over 28,000 memory tokens overflow it (tier4/autoware-ml#95), as do LayerNorm's squares.

Inputs and outputs of the model stay float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import ml_dtypes
import onnx
import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass

BFLOAT16_OPSET: Final = 22
"First opset whose Conv takes bfloat16."

_PRODUCTS: Final = frozenset({"MatMul", "Conv"})
"Not ConvTranspose, which TensorRT-RTX 1.7 lacks in bfloat16; the mask decoder's are written as MatMul."
_MOVES: Final = frozenset(
    {"Reshape", "Transpose", "Slice", "Squeeze", "Unsqueeze", "Expand", "Flatten", "Relu"}
)
"Operations that compute nothing; their first input is the only float input."


def to_bfloat16(content: bytes) -> bytes:
    """Return the bfloat16 copy of a float32 model whose constants are initializers."""
    model = ir.from_proto(onnx.load_model_from_string(content))
    types = _ValueTypes(model.graph)
    for node in list(model.graph):
        if node.op_type in _PRODUCTS and not any(_is_one_hot(value) for value in node.inputs):
            types.round(node, node.inputs)
        elif node.op_type in _MOVES and node.inputs[0] in types.rounded:
            types.round(node, node.inputs[:1])
        else:
            types.keep_float32(node)
    types.restore_outputs()
    RemoveUnusedNodesPass()(model)
    model.opset_imports[""] = BFLOAT16_OPSET
    return bytes(ir.to_proto(model).SerializeToString())


def _is_one_hot(value: ir.Value | None) -> bool:
    """Whether a value consists of one-hot rows."""
    producer = value.producer() if value is not None else None
    if producer is not None and producer.op_type in {"Cast", *_MOVES}:
        return _is_one_hot(producer.inputs[0])
    return producer is not None and producer.op_type == "OneHot"


class _ValueTypes:
    """Tracks which values are bfloat16 and inserts casts; each value is cast once."""

    def __init__(self, graph: ir.Graph) -> None:
        self._graph = graph
        self.rounded: set[ir.Value | None] = set()
        "Values that their node outputs in bfloat16."
        self._casts: dict[ir.Value, ir.Value] = {}

    def round(self, node: ir.Node, inputs: Sequence[ir.Value | None]) -> None:
        """Convert these inputs of a node, and its output, to bfloat16."""
        for index, value in enumerate(inputs):
            if value is not None and value not in self.rounded:
                node.replace_input_with(index, self._in_bfloat16(value, node))
        self.rounded.add(node.outputs[0])
        node.outputs[0].dtype = ir.DataType.BFLOAT16

    def keep_float32(self, node: ir.Node) -> None:
        """Leave a node in float32; cast its bfloat16 inputs."""
        for index, value in enumerate(node.inputs):
            if value is not None and value in self.rounded:
                node.replace_input_with(index, self._cast(value, ir.DataType.FLOAT, node))

    def restore_outputs(self) -> None:
        """Cast the model's bfloat16 outputs to float32 under their own names."""
        for index, value in enumerate(self._graph.outputs):
            if value not in self.rounded:
                continue
            name, value.name = value.name, f"{value.name}_bfloat16"
            restored = self._cast(value, ir.DataType.FLOAT, None)
            restored.name = name
            restored.shape = value.shape
            self._graph.outputs[index] = restored

    def _in_bfloat16(self, value: ir.Value, before: ir.Node) -> ir.Value:
        if value.const_value is None:
            return self._cast(value, ir.DataType.BFLOAT16, before)
        if value not in self._casts:
            weights = value.const_value.numpy().astype(ml_dtypes.bfloat16)
            tensor = ir.tensor(weights, name=f"{value.name}_bfloat16")
            self._casts[value] = ir.Value(
                name=tensor.name, shape=value.shape, type=ir.TensorType(tensor.dtype), const_value=tensor
            )
            self._graph.register_initializer(self._casts[value])
        return self._casts[value]

    def _cast(self, value: ir.Value, dtype: ir.DataType, before: ir.Node | None) -> ir.Value:
        """Return `value` cast to another type; the cast node precedes `before`, the first node to need it."""
        if value not in self._casts:
            name = f"{value.name}_{dtype.name.lower()}"
            cast = ir.node("Cast", [value], attributes={"to": dtype}, name=f"Cast {name}")
            cast.outputs[0].name = name
            cast.outputs[0].type = ir.TensorType(dtype)
            if before is None:
                self._graph.append(cast)
            else:
                self._graph.insert_before(before, cast)
            self._casts[value] = cast.outputs[0]
        return self._casts[value]
