"""Make the reference masks of the demo's real footage with SAM-2's image model, from boxes placed by hand.

    python -m lab.demo.reference_masks sam2_hiera_tiny_image.safetensors --overlays overlays

takes some ten minutes of one core at 1024 px. `bikes_boxes.json` has, for every object, stretches of frames
in which it is in sight, with the boxes of some of them; between these the box is interpolated. The overlays
are for looking at every mask: a wrong one is mended by another box.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from engines.backends.choose import choose_backend
from engines.masks import encode_mask
from lab.demo.footage import bring_bikes
from lab.demo.ground_truth import GROUND_TRUTH, GroundTruth, save_ground_truth
from lab.demo.scenes import BIKES_TRUTH
from lab.evaluation.box_prompts import Box, Segmenter, saccade_segmenter
from lab.fixtures.random_sam2 import bench_weights
from streaming.sources.clip import open_clip
from streaming.vocabulary import Mask, Pixels

BOXES: Final = GROUND_TRUTH.with_name("bikes_boxes.json")
_COLOURS: Final = (
    (255, 80, 80),
    (80, 255, 80),
    (80, 120, 255),
    (255, 220, 60),
    (220, 80, 255),
    (60, 230, 230),
)
Stretch = Mapping[str, Sequence[float]]
"Boxes (x0, y0, x1, y1, pixels) by frame, as JSON has them."


def box_at(stretches: Sequence[Stretch], frame: int) -> Box | None:
    """Return an object's box on a frame, interpolated between its neighbours; None out of sight."""
    for stretch in stretches:
        known = sorted((int(at), np.array(box, float)) for at, box in stretch.items())
        for (before, first), (after, second) in pairwise(known):
            if before <= frame <= after:
                share = (frame - before) / (after - before)
                x0, y0, x1, y1 = (first + share * (second - first)).tolist()
                return x0, y0, x1, y1
    return None


def make_reference_masks(segment: Segmenter, overlays: Path | None) -> GroundTruth:
    """Segment every object on every frame of the footage, and draw overlays into a folder."""
    stored: dict[str, Any] = json.loads(BOXES.read_text())
    objects: dict[str, Sequence[Stretch]] = stored["objects"]
    masks = []
    with open_clip(str(bring_bikes())) as reader:
        frames = [frame.pixels for frame in reader.frames() if frame is not None]
    for index, pixels in enumerate(track(frames, "Segmenting")):
        found = [_mask(segment, pixels, box_at(stretches, index)) for stretches in objects.values()]
        masks.append(tuple(encode_mask(mask) for mask in found))
        if overlays is not None:
            cv2.imwrite(str(overlays / f"{index:03d}.jpg"), _overlay(pixels, found)[..., ::-1])
    names = list(objects)
    phrases = {
        text: tuple(names.index(name) for name in phrase["objects"])
        for text, phrase in stored["phrases"].items()
    }
    unjudged = {
        text: tuple((int(first), int(last)) for first, last in phrase["unjudged"])
        for text, phrase in stored["phrases"].items()
    }
    return GroundTruth(float(stored["fps"]), tuple(names), tuple(masks), phrases, unjudged, complete=False)


def _mask(segment: Segmenter, pixels: Pixels, box: Box | None) -> Mask:
    return np.zeros(pixels.shape[:2], bool) if box is None else segment(pixels, box)


def _overlay(pixels: Pixels, masks: Sequence[Mask]) -> NDArray[np.uint8]:
    drawn = pixels.copy()
    for mask, colour in zip(masks, _COLOURS, strict=True):
        drawn[mask] = drawn[mask] // 2 + np.array(colour, np.uint8) // 2
    return drawn


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("weights", help="SAM-2's image weights, official tensor names")
    parser.add_argument("--overlays", type=Path, help="folder for pictures of all masks")
    arguments = parser.parse_args()
    if arguments.overlays is not None:
        arguments.overlays.mkdir(parents=True, exist_ok=True)
    segment = saccade_segmenter(bench_weights(arguments.weights), choose_backend("auto", precision="float32"))
    save_ground_truth(make_reference_masks(segment, arguments.overlays), BIKES_TRUTH)


if __name__ == "__main__":
    main()
