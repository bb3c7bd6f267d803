"""Quantise an ONNX model to int8 with NNCF: the fastest precision of CPUs with VNNI.

Post-training quantisation with value ranges from typical inputs, SmoothQuant (arXiv 2211.10438) and bias
correction. Quantised are products with weights and the products of queries and keys. Products with the output
of softmax are not: over thousands of keys most weights would round to zero. Everything else stays float32,
for the runtime to compute in float32 or bfloat16. Inputs and outputs of the model stay float32.

x86 CPUs without VNNI add pairs of 8-bit products in 16 bits, which saturates: outputs of a small attention
graph were off by 13 to 18 %. For them weights use half of their range (NNCF's `overflow_fix`): off by 1.5 %.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from engines.backends.cpu import saturates_int8
from engines.backends.graph import Array
from streaming.errors import BackendUnavailable

_MODEL, _INPUTS, _IGNORED, _RESULT = "model.onnx", "inputs.npz", "ignored_scope.txt", "int8.onnx"


def to_int8(content: bytes, inputs: Sequence[tuple[Array, ...]], ignored_scope: Sequence[str]) -> bytes:
    """Return the int8 copy of a float32 model.

    inputs: typical inputs, in the model's order. ignored_scope: regular expressions for the names of nodes
    that stay in floating point. Takes seconds to minutes, in a subprocess: NNCF loads runtimes and gigabytes
    that a service need not hold, and a test process that had loaded it crashed later. Raises
    BackendUnavailable where NNCF is missing or fails, or where temporary files cannot be written.
    """
    if find_spec("nncf") is None:
        raise BackendUnavailable(
            "int8 is made by NNCF, which is not installed.", remedy="Say pip install 'saccade[int8]'."
        )
    try:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            _write_request(folder, content, inputs, ignored_scope)
            _run(folder)
            return (folder / _RESULT).read_bytes()
    except OSError as exc:
        raise BackendUnavailable(
            f"int8 cannot be made: {exc}.",
            remedy="Make room for temporary files, or name a folder that has some in TMPDIR.",
        ) from exc


def _write_request(
    folder: Path, content: bytes, inputs: Sequence[tuple[Array, ...]], ignored_scope: Sequence[str]
) -> None:
    (folder / _MODEL).write_bytes(content)
    (folder / _IGNORED).write_text("\n".join(ignored_scope))
    arrays = {
        f"{call}-{port}": array for call, arrays in enumerate(inputs) for port, array in enumerate(arrays)
    }
    np.savez(folder / _INPUTS, **arrays)  # type: ignore[arg-type]


def _run(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "engines.backends.int8", str(folder)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit {done.returncode}"]
        raise BackendUnavailable(f"NNCF fails: {lines[-1]}", remedy="Choose another precision.")


def _quantise(folder: Path) -> None:
    import nncf
    from nncf import OverflowFix
    from nncf.quantization.range_estimator import RangeEstimatorParametersSet

    model = onnx.load(folder / _MODEL)
    names = [value.name for value in model.graph.input]
    with np.load(folder / _INPUTS) as arrays:
        calls = 1 + max(int(key.split("-")[0]) for key in arrays)
        inputs = [
            {name: arrays[f"{call}-{port}"] for port, name in enumerate(names)} for call in range(calls)
        ]
    quantised: Any = nncf.quantize(
        model,
        nncf.Dataset(inputs),
        subset_size=calls,
        model_type=nncf.ModelType.TRANSFORMER,
        # Ranges cover every value: NNCF's default, the mean of the images' extremes, clips the rest.
        advanced_parameters=nncf.AdvancedQuantizationParameters(
            overflow_fix=OverflowFix.ENABLE if saturates_int8() else OverflowFix.DISABLE,
            activations_range_estimator_params=RangeEstimatorParametersSet.MINMAX,
        ),
        ignored_scope=nncf.IgnoredScope(
            _softmax_products(model), (folder / _IGNORED).read_text().splitlines(), validate=False
        ),
    )
    (folder / _RESULT).write_bytes(quantised.SerializeToString())


def _softmax_products(model: onnx.ModelProto) -> list[str]:
    """Return the names of the products with the output of softmax."""
    weights = {output for node in model.graph.node if node.op_type == "Softmax" for output in node.output}
    return [node.name for node in model.graph.node if weights.intersection(node.input)]


if __name__ == "__main__":
    _quantise(Path(sys.argv[1]))
