"""Real clips as live streams: what a phrase names is asked for as the clip begins."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from engines.masks import encode_mask
from lab.evaluation.live_clips import FPS, LiveClip, Window
from lab.evaluation.real_clips import RealClip
from lab.training.language.expressions import Expression
from streaming.errors import NotFound
from streaming.video_writer import VideoWriter

PHRASES: Final = "phrases.json"
"In the folder of clips: a phrase for the object of each, by the clip's name."
_OWN_PHRASES: Final = Path(__file__).with_name("clip_phrases.json")
"For six clips of DAVIS 2016."


def load_phrases(folder: Path) -> dict[str, str]:
    """Return the phrases of the clips in a folder; those of the six clips where it has none of its own.

    Raises NotFound where the file is not a JSON object of texts.
    """
    path = folder / PHRASES
    try:
        stored = json.loads((path if path.is_file() else _OWN_PHRASES).read_text())
    except ValueError as exc:
        raise NotFound(f"{path} is not JSON: {exc}.") from exc
    if not isinstance(stored, dict) or not all(isinstance(text, str) for text in stored.values()):
        raise NotFound(f"{path} should be a JSON object: a phrase by the name of each clip.")
    return stored


def write_real_clips(clips: Sequence[RealClip], phrases: dict[str, str], folder: Path) -> list[LiveClip]:
    """Write every clip that has a phrase as a video; its kind of expression is the clip's name."""
    return [_write(clip, phrases[clip.name], folder) for clip in clips if clip.name in phrases]


def _write(clip: RealClip, phrase: str, folder: Path) -> LiveClip:
    path = folder / f"{clip.name}.mp4"
    with VideoWriter(path, fps=FPS) as writer:
        for index, pixels in enumerate(clip.read()):
            writer.write(pixels, index / FPS)
    window = Window(0, len(clip.frames) - 1, (Expression(phrase, clip.name, (0,)),))
    return LiveClip(clip.name, path, tuple((encode_mask(mask),) for mask in clip.truth()), (window,))
