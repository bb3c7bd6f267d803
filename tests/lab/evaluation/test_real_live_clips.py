"""Real clips as live streams, with the phrases that are asked."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from engines.masks import decode_mask
from lab.evaluation.real_clips import RealClip, find_real_clips
from lab.evaluation.real_live_clips import load_phrases, write_real_clips
from streaming.errors import NotFound
from streaming.sources.clip import open_clip


@pytest.fixture
def clips(tmp_path: Path) -> list[RealClip]:
    """Two clips of 3 frames, 32 x 48, in which a bright square moves right."""
    for name in ("cat", "stone"):
        for part in ("frames", "masks"):
            (tmp_path / name / part).mkdir(parents=True)
        for index in range(3):
            mask = np.zeros((32, 48), np.uint8)
            mask[8:24, 8 * index : 8 * index + 16] = 255
            cv2.imwrite(str(tmp_path / name / "masks" / f"{index}.png"), mask)
            cv2.imwrite(str(tmp_path / name / "frames" / f"{index}.jpg"), mask)
    return find_real_clips(tmp_path)


def test_clips_with_a_phrase_are_written_with_the_masks_of_every_frame(
    clips: list[RealClip], tmp_path: Path
) -> None:
    (live,) = write_real_clips(clips, {"cat": "the cat"}, tmp_path)
    assert (live.name, live.size) == ("cat", (32, 48))
    (window,) = live.windows
    (expression,) = window.expressions
    assert (window.start, window.end, expression.text, expression.referents) == (0, 2, "the cat", (0,))
    with open_clip(str(live.path)) as reader:
        frames = [frame.pixels for frame in reader.frames() if frame is not None]
    assert len(frames) == len(live.masks) == 3
    for pixels, (mask,) in zip(frames, live.masks, strict=True):
        inside = decode_mask(mask)
        assert pixels[inside].mean() > 200 and pixels[~inside].mean() < 50
    assert (live.mask_of((0,), 4) == live.mask_of((0,), 1)).all()


def test_a_folder_has_its_own_phrases_or_those_of_six_clips(tmp_path: Path) -> None:
    assert load_phrases(tmp_path)["dog"] == "the dog"
    (tmp_path / "phrases.json").write_text(json.dumps({"cat": "the cat"}))
    assert load_phrases(tmp_path) == {"cat": "the cat"}


@pytest.mark.parametrize("content", ["[", "[]", '{"cat": 3}'])
def test_phrases_that_are_none_are_refused_with_their_path(content: str, tmp_path: Path) -> None:
    (tmp_path / "phrases.json").write_text(content)
    with pytest.raises(NotFound, match=r"phrases\.json"):
        load_phrases(tmp_path)
