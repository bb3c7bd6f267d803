"""A copy of an ONNX model that multiplies in bfloat16.

For runtimes that compute in the types a model is written in (TensorRT 11 knows no other way). Matrix
products and convolutions, where the time goes, take bfloat16 and give bfloat16; what only moves or selects
numbers on the way from one to the next leaves them so. Everything else is float32, and nothing needs naming
for it: the chains that must be exact are elementwise (LayerNorm, softmax, rotary positions, the key bias,
residual sums), the heads are Gemm, ONNX's product of a few rows (one for each object: no time to win), and
a product with one-hot rows is a choice between numbers. There is no float16: sums over 28,000 memory tokens
leave its range (tier4/autoware-ml#95), as do LayerNorm's squares.

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
"Conv takes bfloat16 from here on."

_PRODUCTS: Final = frozenset({"MatMul", "Conv"})
"Not ConvTranspose, of which TensorRT-RTX 1.7 has none in bfloat16; the mask decoder's are written as MatMul."
_MOVES: Final = frozenset(
    {"Reshape", "Transpose", "Slice", "Squeeze", "Unsqueeze", "Expand", "Flatten", "Relu"}
)
"Exact in any type, and of one float input: the first."


def to_bfloat16(content: bytes) -> bytes:
    """The copy of a float32 model whose constants are initializers."""
    model = ir.from_proto(onnx.load_model_from_string(content))
    types = _Types(model.graph)
    for node in list(model.graph):
        if node.op_type in _PRODUCTS and not any(_is_choice(value) for value in node.inputs):
            types.round(node, node.inputs)
        elif node.op_type in _MOVES and node.inputs[0] in types.rounded:
            types.round(node, node.inputs[:1])
        else:
            types.keep(node)
    types.restore_outputs()
    RemoveUnusedNodesPass()(model)
    model.opset_imports[""] = BFLOAT16_OPSET
    return bytes(ir.to_proto(model).SerializeToString())


def _is_choice(value: ir.Value | None) -> bool:
    """Whether it is made of one-hot rows."""
    maker = value.producer() if value is not None else None
    if maker is not None and maker.op_type in {"Cast", *_MOVES}:
        return _is_choice(maker.inputs[0])
    return maker is not None and maker.op_type == "OneHot"


class _Types:
    """Which values are bfloat16, and the casts between; each value is cast once."""

    def __init__(self, graph: ir.Graph) -> None:
        self._graph = graph
        self.rounded: set[ir.Value | None] = set()
        "Values that their node now gives in bfloat16."
        self._casts: dict[ir.Value, ir.Value] = {}

    def round(self, node: ir.Node, inputs: Sequence[ir.Value | None]) -> None:
        """Let a node take these inputs, and give its output, in bfloat16."""
        for index, value in enumerate(inputs):
            if value is not None and value not in self.rounded:
                node.replace_input_with(index, self._in_bfloat16(value, node))
        self.rounded.add(node.outputs[0])
        node.outputs[0].dtype = ir.DataType.BFLOAT16

    def keep(self, node: ir.Node) -> None:
        """Let a node take float32, as before."""
        for index, value in enumerate(node.inputs):
            if value is not None and value in self.rounded:
                node.replace_input_with(index, self._cast(value, ir.DataType.FLOAT, node))

    def restore_outputs(self) -> None:
        """Give the model's outputs in float32 under their own names."""
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
        """`value` in another type; the cast is made before the first node that needs it."""
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
