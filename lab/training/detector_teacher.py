"""The teacher of stage `vision` on photographs: a YOLOX detector's feature maps and class maps.

YOLOX (arXiv 2107.08430) as exported by its repository, with COCO's 80 classes at 416 px: input BGR 0..255,
output (1, 3549, 85) of box, objectness and class scores over strides 8, 16 and 32. The features are the
inputs of its head, 64, 128 and 256 channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor

from streaming.errors import NotFound

SIDE_PX: Final = 416
STRIDES: Final = (8, 16, 32)
CHANNELS: Final = (64, 128, 256)
CLASSES: Final = 80
_HEAD_INPUTS: Final = ("956", "990", "1024")
"Tensors of the exported graph: the inputs of the head's first convolutions."


@dataclass(frozen=True, slots=True, eq=False)
class TeacherMaps:
    """What the teacher sees in B images; one map for each of `STRIDES`, of side 416 / stride."""

    features: tuple[Tensor, ...]
    "(B, CHANNELS[k], side, side) float32."
    scores: tuple[Tensor, ...]
    """(B, CLASSES, side, side) float32, 0..1: objectness times class score, high only near the centre of an
    object of the stride's sizes."""


class DetectorTeacher:
    """Runs the detector on one thread."""

    def __init__(self, path: Path) -> None:
        """Raises NotFound where there is no such file."""
        if not path.is_file():
            raise NotFound(f"There is no {path}.", remedy="It should be YOLOX-nano in ONNX's format.")
        model = onnx.load(path)
        for name in _HEAD_INPUTS:
            model.graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def look_at(self, images: NDArray[np.uint8]) -> TeacherMaps:
        """Return the maps of (B, S, S, 3) RGB images."""
        each = [self._run(image) for image in images]
        features, scores = zip(*each, strict=True)
        return TeacherMaps(
            tuple(torch.from_numpy(np.concatenate(level)) for level in zip(*features, strict=True)),
            tuple(torch.from_numpy(np.stack(level)) for level in zip(*scores, strict=True)),
        )

    def _run(self, image: NDArray[np.uint8]) -> tuple[list[NDArray[np.float32]], list[NDArray[np.float32]]]:
        bgr = cv2.resize(image, (SIDE_PX, SIDE_PX))[..., ::-1]
        pixels = np.ascontiguousarray(bgr.transpose(2, 0, 1)[None], dtype=np.float32)
        rows, *features = self._session.run(None, {"images": pixels})
        scores, start = [], 0
        for stride in STRIDES:
            side = SIDE_PX // stride
            level = rows[0, start : start + side * side]
            scores.append((level[:, 4:5] * level[:, 5:]).T.reshape(CLASSES, side, side))
            start += side * side
        return features, scores
