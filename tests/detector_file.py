"""A detector of random weights with the inputs, outputs and tensor names of the exported YOLOX-nano."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

LEVELS = (("956", 8, 64), ("990", 16, 128), ("1024", 32, 256))
"Name of the head's input, stride, channels."


def write_detector(path: Path) -> Path:
    """Write the model: pixels pooled to each stride, then two 1x1 convolutions."""
    rng = np.random.default_rng(0)
    nodes, weights, rows = [], [], []

    def weight(name: str, *shape: int) -> str:
        values = rng.normal(0, 0.02, shape).astype(np.float32)
        weights.append(numpy_helper.from_array(values, name))
        return name

    for name, stride, channels in LEVELS:
        pooled, head, flat = f"pooled{stride}", f"head{stride}", f"flat{stride}"
        shape = {"kernel_shape": [stride] * 2, "strides": [stride] * 2}
        nodes.append(helper.make_node("AveragePool", ["images"], [pooled], **shape))
        nodes.append(helper.make_node("Conv", [pooled, weight(f"w{stride}", channels, 3, 1, 1)], [name]))
        nodes.append(helper.make_node("Conv", [name, weight(f"v{stride}", 85, channels, 1, 1)], [head]))
        nodes.append(helper.make_node("Sigmoid", [head], [f"s{stride}"]))
        cells = numpy_helper.from_array(np.array([1, 85, -1]), f"shape{stride}")
        weights.append(cells)
        nodes.append(helper.make_node("Reshape", [f"s{stride}", cells.name], [flat]))
        rows.append(flat)
    nodes.append(helper.make_node("Concat", rows, ["rows"], axis=2))
    nodes.append(helper.make_node("Transpose", ["rows"], ["output"], perm=[0, 2, 1]))
    graph = helper.make_graph(
        nodes,
        "detector",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 416, 416])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, 3549, 85])],
        weights,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path
