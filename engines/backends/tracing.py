"""Convert a graph's torch module to an ONNX model.

With torch's tracing exporter rather than the `torch.export` based one: it takes 0.5 to 7 s per graph instead
of 6 s and more, names every node by the path of its module, and its models give the same numbers. It leaves
hundreds of nodes that compute shapes; ONNX Runtime's basic optimisation level folds them here once, instead
of in every runtime. OpenVINO then compiles tiny's image encoder in 1 s instead of 27 s.
"""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import Final

import onnx_ir as ir
import onnxruntime as ort
import torch
from onnx_ir.passes.common import DeduplicateInitializersPass
from torch import Tensor, nn
from torch.jit._trace import TracerWarning

from engines.backends.graph import Graph, Port

OPSET: Final = 18
BATCH: Final = "objects"
"Name of the open dimension."
_NO_SIZE_LIMIT: Final = 1 << 40
"Size limit in bytes, so that equal weights of every size are merged."


def trace(graph: Graph) -> bytes:
    """Return a float32 model with the graph's names. Its inputs are all ports in order, unused ones
    included."""
    with tempfile.TemporaryDirectory() as folder:
        traced, folded = Path(folder) / "traced.onnx", Path(folder) / "folded.onnx"
        _export(graph, traced)
        _fold(traced, folded)
        model = ir.load(folded)
        DeduplicateInitializersPass(_NO_SIZE_LIMIT)(model)
        _declare_inputs(model.graph, graph.ports)
        # ONNX Runtime lists every operator set that it has.
        model.opset_imports.clear()
        model.opset_imports[""] = OPSET
        return bytes(ir.to_proto(model).SerializeToString())


class _FloatInputs(nn.Module):
    """The module with uint8 inputs cast to float32: a cast is all that TensorRT supports on uint8."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """See the module's own."""
        floats = (array.float() if array.dtype == torch.uint8 else array for array in inputs)
        return self.module(*floats)  # type: ignore[no-any-return]


def _export(graph: Graph, path: Path) -> None:
    axes = {port.name: {port.shape.index(None): BATCH} for port in graph.ports if None in port.shape}
    if axes:
        axes |= {name: {0: BATCH} for name in graph.outputs}
    with warnings.catch_warnings():
        # The exporter is deprecated and warns of it; tracing warns of every shape that it takes as constant.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("ignore", TracerWarning)
        warnings.simplefilter("ignore", UserWarning)
        torch.onnx.export(
            _FloatInputs(graph.module).eval(),
            graph.examples(),
            path,
            input_names=[port.name for port in graph.ports],
            output_names=list(graph.outputs),
            dynamic_axes=axes,
            opset_version=OPSET,
            dynamo=False,
        )


def _fold(traced: Path, folded: Path) -> None:
    """Fold constants and write the result as standard ONNX."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(folded)
    options.log_severity_level = 3  # without warnings about branches that are never taken
    # MatMul and Add are not fused, so that Gemm means a product of a few rows, as in heads (bfloat16.py).
    ort.InferenceSession(
        traced, options, providers=["CPUExecutionProvider"], disabled_optimizers=["MatMulAddFusion"]
    )


def _declare_inputs(graph: ir.Graph, ports: tuple[Port, ...]) -> None:
    used = {value.name: value for value in graph.inputs}
    graph.inputs[:] = [used.get(port.name) or _unused(port) for port in ports]


def _unused(port: Port) -> ir.Value:
    shape = ir.Shape([BATCH if size is None else size for size in port.shape])
    kinds = {"float32": ir.DataType.FLOAT, "int64": ir.DataType.INT64, "uint8": ir.DataType.UINT8}
    return ir.Value(name=port.name, shape=shape, type=ir.TensorType(kinds[port.dtype]))
