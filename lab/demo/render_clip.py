"""Draw the demo's clip and its ground truth.

    python -m lab.demo.render_clip

writes the two files of `lab/demo/data` in a few seconds. Benchmarks draw the same scene at other frame rates.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from engines.masks import encode_mask
from lab.demo.ground_truth import CLIP, GROUND_TRUTH, GroundTruth, save_ground_truth
from lab.training.language.noun_phrases import NounPhrase
from lab.training.world.demo_scene import EXPRESSIONS, demo_labels, render_demo
from lab.training.world.holdout import Split, vocabulary_of
from lab.training.world.levels import NANO_LEVEL
from streaming.video_writer import VideoWriter

FPS: Final = 30
SECONDS: Final = 20
SIZE: Final = (360, 640)
"(height, width) in pixels."
CRF: Final = 26
"Of the H.264 encoder; the clip takes less than 3 MB."


def render_clip(
    clip: Path = CLIP, truth: Path = GROUND_TRUTH, *, fps: int = FPS, seconds: float = SECONDS
) -> None:
    """Write the demo's scene as an .mp4 file, and its ground truth as a .json.gz file."""
    masks = []
    with VideoWriter(clip, fps=fps, crf=CRF) as writer:
        for index, still in enumerate(render_demo(seconds, fps, SIZE)):
            writer.write(still.image, index / fps)
            masks.append(tuple(encode_mask(mask) for mask in still.masks))
    objects = demo_labels()
    vocabulary = vocabulary_of(NANO_LEVEL, Split.UNSEEN)
    # A noun phrase with category and colour has one wording: neither level nor generator changes it.
    labels = [NounPhrase(*label).singular(vocabulary, np.random.default_rng(0)) for label in objects]
    phrases = {
        text: tuple(objects.index(referent) for referent in referents)
        for text, referents in EXPRESSIONS.items()
    }
    save_ground_truth(GroundTruth(fps, tuple(labels), tuple(masks), phrases), truth)


if __name__ == "__main__":
    render_clip()
