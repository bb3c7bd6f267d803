"""A copy of an ONNX model whose products are of 8-bit integers, by NNCF: the fastest a CPU with VNNI has.

Weights and what is multiplied with them are scaled, rounded and multiplied as int8, in each product by ranges
that were seen on typical inputs (SmoothQuant, arXiv 2211.10438, moves what is hard to round from activations
into weights; biases are corrected for what rounding shifts). So are queries and keys; what softmax gives is
not, for over thousands of keys most of it would round to nothing. All else is left in float32, for the
runtime to compute as it likes. Inputs and outputs of the model stay float32.
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

from engines.backends.graph import Array
from streaming.errors import BackendUnavailable

_MODEL, _INPUTS, _EXACT, _MADE = "model.onnx", "inputs.npz", "exact.txt", "int8.onnx"


def to_int8(content: bytes, inputs: Sequence[tuple[Array, ...]], exact: Sequence[str]) -> bytes:
    """The copy of a float32 model.

    inputs: typical ones, in the model's order. exact: regular expressions for names of nodes that are left.
    Takes seconds to minutes, in a process of its own: NNCF brings runtimes and gigabytes that a service need
    not hold, and a test process that had loaded it crashed later. Raises BackendUnavailable without NNCF,
    where it fails, or where there is no room for the files it reads.
    """
    if find_spec("nncf") is None:
        raise BackendUnavailable(
            "int8 is made by NNCF, which is not installed.", remedy="Say pip install 'saccade[int8]'."
        )
    try:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            _put(folder, content, inputs, exact)
            _run(folder)
            return (folder / _MADE).read_bytes()
    except OSError as exc:
        raise BackendUnavailable(
            f"int8 cannot be made: {exc}.",
            remedy="Make room for temporary files, or name a folder that has some in TMPDIR.",
        ) from exc


def _put(folder: Path, content: bytes, inputs: Sequence[tuple[Array, ...]], exact: Sequence[str]) -> None:
    (folder / _MODEL).write_bytes(content)
    (folder / _EXACT).write_text("\n".join(exact))
    given = {f"{call}-{port}": array for call, one in enumerate(inputs) for port, array in enumerate(one)}
    np.savez(folder / _INPUTS, **given)  # type: ignore[arg-type]


def _run(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "engines.backends.int8", str(folder)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit {done.returncode}"]
        raise BackendUnavailable(f"NNCF fails: {said[-1]}", remedy="Choose another precision.")


def _quantise(folder: Path) -> None:
    import nncf
    from nncf.quantization.range_estimator import RangeEstimatorParametersSet

    model = onnx.load(folder / _MODEL)
    names = [value.name for value in model.graph.input]
    with np.load(folder / _INPUTS) as given:
        calls = 1 + max(int(key.split("-")[0]) for key in given)
        inputs = [{name: given[f"{call}-{port}"] for port, name in enumerate(names)} for call in range(calls)]
    quantised: Any = nncf.quantize(
        model,
        nncf.Dataset(inputs),
        subset_size=calls,
        model_type=nncf.ModelType.TRANSFORMER,
        # All that was seen: the mean of what pictures have at most, NNCF's choice, cuts off the rest.
        advanced_parameters=nncf.AdvancedQuantizationParameters(
            activations_range_estimator_params=RangeEstimatorParametersSet.MINMAX
        ),
        ignored_scope=nncf.IgnoredScope(
            _mixing(model), (folder / _EXACT).read_text().splitlines(), validate=False
        ),
    )
    (folder / _MADE).write_bytes(quantised.SerializeToString())


def _mixing(model: onnx.ModelProto) -> list[str]:
    """Names of the products with what softmax gives."""
    weights = {output for node in model.graph.node if node.op_type == "Softmax" for output in node.output}
    return [node.name for node in model.graph.node if weights.intersection(node.input)]


if __name__ == "__main__":
    _quantise(Path(sys.argv[1]))
