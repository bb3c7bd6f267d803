"""Inputs from which int8 takes its value ranges: drawn scenes, shipped as data, and calls of the track graph.

`calibration.npz` is made by `python -m lab.fixtures.int8_calibration`. It holds 48 images of drawn scenes and
four short clips of 360 x 640 px, as JPEG files, and for each clip one object's mask on the first frame, as a
PNG file. The image encoder is calibrated on the images; the track graph on its calls while an uncalibrated
tracker follows the clips' objects. Both depend on the checkpoint, so they are made when it is compiled.
Drawn images represent real ones well: on 36 frames of six real clips, masks of SAM 2's tiny image encoder
calibrated on the uncompressed images agree with float32's by 0.995, at J 0.905 with both.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.backends.graph import Array, Calibration, Graph, Program, Runner
from engines.backends.openvino import OpenVinoBackend
from engines.geometry import to_square
from engines.tracking.checkpoints import TrackerWeights
from engines.tracking.graph_set import compile_graphs, uncalibrated_graphs
from engines.tracking.memory_policy import AS_SAM2
from engines.tracking.tracker import SamTracker
from streaming.vocabulary import Answer, Clock, Frame, Mask, Pixels, QueryId, SegPrompt, StreamId

DATA_FILE: Final = Path(__file__).with_name("calibration.npz")
"""Keys: image.<k>; clip.<k>.frame.<t>, clip.<k>.mask; in this order. Values: (bytes,) uint8, a JPEG or PNG
file."""
MASK_LOGIT: Final = 10.0
"Logit inside a clip's mask; minus this outside."
RECORDED_STEP: Final = 3
"Of the calls of the track graph in a clip every third is used: few memories, more, all slots filled."

Inputs = list[tuple[Array, ...]]


@dataclass(frozen=True, slots=True, eq=False)
class CalibrationClip:
    """A short drawn clip with one object's mask on its first frame."""

    frames: list[Pixels]
    "T frames, each (H, W, 3) uint8 RGB."
    mask: Mask
    "(H, W) bool, of frame 0."


def calibrated_graphs(weights: TrackerWeights) -> tuple[Graph, ...]:
    """`graph_set.uncalibrated_graphs`, with what int8 needs where a graph gains by int8."""
    inputs = {
        "encode": lambda: image_inputs(weights.side_px),
        "track": lambda: track_inputs(weights),
    }

    def calibrated(graph: Graph) -> Graph:
        if graph.name not in inputs:
            return graph
        module: Any = graph.module
        return replace(graph, calibration=Calibration(inputs[graph.name], module.ignored_scope))

    return tuple(calibrated(graph) for graph in uncalibrated_graphs(weights))


def image_inputs(side_px: int) -> Inputs:
    """Inputs of the image encoder: (1, side, side, 3) uint8 RGB, one per drawn scene."""
    return [(to_square(image, side_px)[None],) for image in load_images()]


def track_inputs(weights: TrackerWeights) -> Inputs:
    """Inputs of the track graph, recorded while a float32 tracker follows one object in each clip."""
    compiled = compile_graphs(weights, uncalibrated_graphs(weights), OpenVinoBackend(precision="float32"))
    # SAM-2's policy writes a memory on every frame, so that a short clip fills every slot; masks are
    # remembered at full size, as the product does.
    policy = replace(AS_SAM2, cond_masks_as_decoded=False)
    recorded: Inputs = []
    for clip in load_clips():
        program = _RecordingProgram(compiled.track)
        tracker = SamTracker(replace(compiled, track=program), capacity=1, policy=policy)
        tracker.step(_frame(0, clip.frames[0]))
        tracker.pin(0)
        for index, pixels in enumerate(clip.frames[1:], start=1):
            tracker.step(_frame(index, pixels), [_answer(clip.mask)] if index == 1 else [])
        recorded += program.calls[1::RECORDED_STEP]
    return recorded


def load_images() -> list[Pixels]:
    """The drawn scenes, (H, W, 3) uint8 RGB each."""
    with np.load(DATA_FILE) as data:
        return [_decoded(data[key]) for key in data if key.startswith("image.")]


def load_clips() -> list[CalibrationClip]:
    """The drawn clips."""
    with np.load(DATA_FILE) as data:
        names = [key.removesuffix(".mask") for key in data if key.endswith(".mask")]
        return [
            CalibrationClip(
                [_decoded(data[key]) for key in data if key.startswith(f"{name}.frame.")],
                _decoded(data[f"{name}.mask"])[:, :, 0] > 0,
            )
            for name in names
        ]


def _decoded(file: NDArray[np.uint8]) -> Pixels:
    image = cv2.imdecode(file, cv2.IMREAD_COLOR)
    assert image is not None
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def _frame(index: int, pixels: Pixels) -> Frame:
    return Frame(StreamId("calibration"), index, pixels, index / 30, 0.0, Clock.ARRIVAL)


def _answer(mask: Mask) -> Answer:
    """One object's mask on frame 0 as a grounder's answer."""
    logits = np.where(mask, MASK_LOGIT, -MASK_LOGIT).astype(np.float32)[None]
    prompt = SegPrompt("object", np.zeros(1, np.float32), 1.0)
    return Answer(StreamId("calibration"), QueryId("q"), 1, 0, "", (prompt,), logits)


class _RecordingProgram:
    """A program, and its only runner, that stores a copy of the inputs of each call."""

    def __init__(self, program: Program) -> None:
        self._run = program.runner()
        self.calls: Inputs = []

    def runner(self) -> Runner:
        return self

    def __call__(self, *inputs: Array) -> tuple[Array, ...]:
        self.calls.append(tuple(array.copy() for array in inputs))
        return self._run(*inputs)
