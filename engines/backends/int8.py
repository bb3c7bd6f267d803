"""A copy of an ONNX model whose products are of 8-bit integers, by NNCF: the fastest a CPU with VNNI has.

Weights and what is multiplied with them are scaled, rounded and multiplied as int8, in each product by ranges
that were seen on typical inputs (SmoothQuant, arXiv 2211.10438, moves what is hard to round from activations
into weights; biases are corrected for what rounding shifts). So are queries and keys; what softmax gives is
not, for over thousands of keys most of it would round to nothing. All else is left in float32, for the
runtime to compute as it likes. Inputs and outputs of the model stay float32.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from typing import Any

import onnx

from engines.backends.graph import Array
from streaming.errors import BackendUnavailable


def to_int8(content: bytes, inputs: Sequence[tuple[Array, ...]], exact: Sequence[str]) -> bytes:
    """The copy of a float32 model.

    inputs: typical ones, in the model's order. exact: regular expressions for names of nodes that are left.
    Takes a second to minutes. Raises BackendUnavailable without NNCF.
    """
    # What it says of its progress goes to stdout, where others read JSON.
    with contextlib.redirect_stdout(io.StringIO()):
        nncf = _nncf()
        from nncf.quantization.range_estimator import RangeEstimatorParametersSet

        model = onnx.load_model_from_string(content)
        names = [value.name for value in model.graph.input]
        quantised: Any = nncf.quantize(
            model,
            nncf.Dataset(inputs, lambda one: dict(zip(names, one, strict=True))),
            subset_size=len(inputs),
            model_type=nncf.ModelType.TRANSFORMER,
            # All that was seen: the mean of what pictures have at most, NNCF's choice, cuts off the rest.
            advanced_parameters=nncf.AdvancedQuantizationParameters(
                activations_range_estimator_params=RangeEstimatorParametersSet.MINMAX
            ),
            ignored_scope=nncf.IgnoredScope(_mixing(model), list(exact), validate=False),
        )
    return bytes(quantised.SerializeToString())


def _mixing(model: onnx.ModelProto) -> list[str]:
    """Names of the products with what softmax gives."""
    weights = {output for node in model.graph.node if node.op_type == "Softmax" for output in node.output}
    return [node.name for node in model.graph.node if weights.intersection(node.input)]


def _nncf() -> Any:
    try:
        import nncf
    except ImportError as exc:
        raise BackendUnavailable(
            "int8 is made by NNCF, which is not installed.", remedy="Say pip install 'saccade[int8]'."
        ) from exc
    return nncf
