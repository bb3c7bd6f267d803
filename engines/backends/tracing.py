"""A torch module becomes an ONNX model. The one place where a graph needs torch to get to a runtime.

torch's tracing exporter, not the one on `torch.export`: it takes 0.5 to 7 s a graph where that one takes 6
s and more, names every node by the module it comes from, and gives the same numbers. What it leaves behind
are hundreds of nodes that compute shapes. ONNX Runtime's basic level computes them once, here, and not in
every runtime: OpenVINO then compiles tiny's encoder in 1 s instead of 27 s.
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
OPEN: Final = "objects"
"Name of the open dimension."
_ANY_SIZE: Final = 1 << 40
"Bytes: equal weights of every size are shared."


def trace(graph: Graph) -> bytes:
    """A float32 model with the graph's names; its inputs are the ports in order, the unused ones too."""
    with tempfile.TemporaryDirectory() as folder:
        traced, folded = Path(folder) / "traced.onnx", Path(folder) / "folded.onnx"
        _export(graph, traced)
        _fold(traced, folded)
        model = ir.load(folded)
        DeduplicateInitializersPass(_ANY_SIZE)(model)
        _take_all(model.graph, graph.ports)
        # ONNX Runtime notes every set of operators that it has.
        model.opset_imports.clear()
        model.opset_imports[""] = OPSET
        return bytes(ir.to_proto(model).SerializeToString())


class _Traced(nn.Module):
    """The module, given float32 for uint8: TensorRT can cast a uint8 input and do nothing else with it."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """See the module's own."""
        floats = (one.float() if one.dtype == torch.uint8 else one for one in inputs)
        return self.module(*floats)  # type: ignore[no-any-return]


def _export(graph: Graph, path: Path) -> None:
    axes = {port.name: {port.shape.index(None): OPEN} for port in graph.ports if None in port.shape}
    if axes:
        axes |= {name: {0: OPEN} for name in graph.outputs}
    with warnings.catch_warnings():
        # This exporter is on its way out and says so; tracing warns of every shape it takes as fixed.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("ignore", TracerWarning)
        warnings.simplefilter("ignore", UserWarning)
        torch.onnx.export(
            _Traced(graph.module).eval(),
            graph.examples(),
            path,
            input_names=[port.name for port in graph.ports],
            output_names=list(graph.outputs),
            dynamic_axes=axes,
            opset_version=OPSET,
            dynamo=False,
        )


def _fold(traced: Path, folded: Path) -> None:
    """Compute at once what depends on no input, and write the rest as plain ONNX."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(folded)
    options.log_severity_level = 3  # it warns of branches that are never taken
    # MatMul and Add stay apart: Gemm then means a product of a few rows, a head (see bfloat16.py).
    ort.InferenceSession(
        traced, options, providers=["CPUExecutionProvider"], disabled_optimizers=["MatMulAddFusion"]
    )


def _take_all(graph: ir.Graph, ports: tuple[Port, ...]) -> None:
    taken = {value.name: value for value in graph.inputs}
    graph.inputs[:] = [taken.get(port.name) or _unused(port) for port in ports]


def _unused(port: Port) -> ir.Value:
    shape = ir.Shape([OPEN if size is None else size for size in port.shape])
    kinds = {"float32": ir.DataType.FLOAT, "int64": ir.DataType.INT64, "uint8": ir.DataType.UINT8}
    return ir.Value(name=port.name, shape=shape, type=ir.TensorType(kinds[port.dtype]))
