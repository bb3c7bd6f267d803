"""The bundled clip and the truth about it: what `saccade demo` plays and judges itself by."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engines.masks import decode_mask, encode_mask
from streaming.errors import NotFound
from streaming.vocabulary import Mask, MaskRle

FOLDER = Path(__file__).parent / "scene"
CLIP = FOLDER / "scene.mp4"
TRUTH = FOLDER / "truth.json.gz"

FPS = 30
SECONDS = 20
SIZE = (360, 640)


@dataclass(frozen=True, slots=True)
class Truth:
    """What is where in the clip."""

    fps: float
    things: tuple[str, ...]
    'Names such as "red circle", one for each thing.'
    masks: tuple[tuple[MaskRle, ...], ...]
    "By frame, then by thing: the visible part."

    def mask_of(self, words: str, frame: int) -> Mask:
        """(H, W) bool: what the words mean on a frame of the endlessly looped clip.

        "the red circle", "the red one" and "the circle" mean every thing that has all these words; words that
        fit nothing in the clip mean nothing.
        """
        shown = self.masks[frame % len(self.masks)]
        meant = [decode_mask(shown[index]) for index in self._meant(words)]
        height, width = shown[0].size
        return np.asarray(np.logical_or.reduce([np.zeros((height, width), bool), *meant]), bool)

    def _meant(self, words: str) -> list[int]:
        said = set(words.lower().split()) - {"the", "one", "thing", "shape", "object", "a"}
        return [index for index, thing in enumerate(self.things) if said and said <= set(thing.split())]


def load_truth(truth: Path = TRUTH) -> Truth:
    """The truth about the bundled clip, or one that `render` wrote. Raises NotFound if it is not there."""
    if not truth.is_file():
        raise NotFound("The bundled clip is missing.", remedy="Install Saccade again.")
    with gzip.open(truth, "rt") as file:
        stored = json.load(file)
    size = (int(stored["size"][0]), int(stored["size"][1]))
    masks = tuple(tuple(MaskRle(size, counts) for counts in frame) for frame in stored["masks"])
    return Truth(float(stored["fps"]), tuple(stored["things"]), masks)


def render(clip: Path = CLIP, truth: Path = TRUTH, fps: int = FPS) -> None:
    """Draw the scene again, clip and truth: `python -m actors.demo_scene`. Takes a few seconds."""
    from engines.training.world.demo import demo_things, draw_demo
    from streaming.video_writer import VideoWriter

    masks: list[list[str]] = []
    with VideoWriter(clip, fps=fps, crf=26) as writer:
        for index, still in enumerate(draw_demo(SECONDS, fps, SIZE)):
            writer.write(still.picture, index / fps)
            masks.append([encode_mask(mask).counts for mask in still.masks])
    things = [f"{thing.colour} {thing.kind}" for thing in demo_things()]
    stored = {"fps": fps, "size": SIZE, "things": things, "masks": masks}
    truth.parent.mkdir(parents=True, exist_ok=True)
    # No name and no time in the archive: the same scene gives the same bytes.
    with truth.open("wb") as raw, gzip.GzipFile("", "wb", mtime=0, fileobj=raw) as file:
        file.write(json.dumps(stored, separators=(",", ":")).encode())


if __name__ == "__main__":
    render()
