"""The bundled clip and the truth about it: what `saccade demo` plays and judges itself by."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from engines.masks import decode_mask, encode_mask
from streaming.errors import NotFound
from streaming.vocabulary import Mask, MaskRle

FOLDER = Path(__file__).parent / "data"
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
    phrases: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    "What a visitor is offered to say, in that order, and which things it means, whenever they are in sight."

    def mask_of(self, words: str, frame: int) -> Mask:
        """(H, W) bool: what the words mean on a frame of the endlessly looped clip.

        One of the phrases means what it says there. Of other words "the red circle", "the red one" and "the
        circle" mean every thing that has all these words; what fits nothing in the clip means nothing.
        """
        shown = self.masks[frame % len(self.masks)]
        meant = [decode_mask(shown[index]) for index in self._meant(words)]
        height, width = shown[0].size
        return np.asarray(np.logical_or.reduce([np.zeros((height, width), bool), *meant]), bool)

    def _meant(self, words: str) -> Sequence[int]:
        if words in self.phrases:
            return self.phrases[words]
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
    phrases = {text: tuple(meant) for text, meant in stored["phrases"].items()}
    return Truth(float(stored["fps"]), tuple(stored["things"]), masks, phrases)


def render(clip: Path = CLIP, truth: Path = TRUTH, fps: int = FPS) -> None:
    """Draw the scene again, clip and truth: `python -m lab.demo.scene`. Takes a few seconds."""
    from lab.training.language.noun_phrases import NounPhrase
    from lab.training.world import demo_scene as scene
    from lab.training.world.holdout import Split, vocabulary_of
    from lab.training.world.levels import NANO_LEVEL
    from streaming.video_writer import VideoWriter

    masks: list[list[str]] = []
    with VideoWriter(clip, fps=fps, crf=26) as writer:
        for index, still in enumerate(scene.render_demo(SECONDS, fps, SIZE)):
            writer.write(still.image, index / fps)
            masks.append([encode_mask(mask).counts for mask in still.masks])
    things = scene.demo_labels()
    vocabulary = vocabulary_of(NANO_LEVEL, Split.UNSEEN)
    stored = {
        "fps": fps,
        "size": SIZE,
        # Names in full leave nothing to a level or to chance.
        "things": [NounPhrase(*thing).singular(vocabulary, np.random.default_rng(0)) for thing in things],
        "phrases": {
            text: [things.index(thing) for thing in meant] for text, meant in scene.EXPRESSIONS.items()
        },
        "masks": masks,
    }
    truth.parent.mkdir(parents=True, exist_ok=True)
    # No name and no time in the archive: the same scene gives the same bytes.
    with truth.open("wb") as raw, gzip.GzipFile("", "wb", mtime=0, fileobj=raw) as file:
        file.write(json.dumps(stored, separators=(",", ":")).encode())


if __name__ == "__main__":
    render()
