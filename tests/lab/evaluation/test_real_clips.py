"""Scores on real clips, and the folder that they are read from."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from lab.evaluation.real_clips import find_real_clips, score_real_clips
from streaming.errors import NotFound
from tests.colour_sam import ColourSam
from tests.doubles import square_image

DAVIS = Path(__file__).parents[4] / "shared/data/davis"


def write_clip(folder: Path, *centres: int) -> None:
    """Write a red square at these places along x, and its masks."""
    for part in ("frames", "masks"):
        (folder / part).mkdir(parents=True)
    for index, x in enumerate(centres):
        frame = square_image((x, 24))
        mask = (frame[:, :, 0] > 150).astype(np.uint8) * 255
        # Named .jpg but lossless, so that colours do not change.
        png = cv2.imencode(".png", frame[:, :, ::-1])[1]
        (folder / "frames" / f"{index:05d}.jpg").write_bytes(png.tobytes())
        cv2.imwrite(str(folder / "masks" / f"{index:05d}.png"), mask)


def test_a_moving_object_is_tracked_and_its_copied_mask_scores_less(tmp_path: Path) -> None:
    write_clip(tmp_path / "right", 16, 20, 24, 28)
    write_clip(tmp_path / "left", 40, 30, 20)
    score = score_real_clips(ColourSam().compiled(), find_real_clips(tmp_path))
    assert {name: clip.frames for name, clip in score.films.items()} == {"right": 4, "left": 3}
    assert all(clip.j > 0.6 > clip.j_copy for clip in score.films.values())
    assert score.j == pytest.approx(np.mean([clip.j for clip in score.films.values()]))


def test_a_folder_without_clips_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no clips"):
        find_real_clips(tmp_path)


def test_a_frame_without_a_mask_is_an_error(tmp_path: Path) -> None:
    write_clip(tmp_path / "one", 16, 20)
    (tmp_path / "one/masks/00001.png").unlink()
    with pytest.raises(NotFound, match="one has no mask"):
        find_real_clips(tmp_path)


def test_an_unreadable_frame_is_an_error(tmp_path: Path) -> None:
    write_clip(tmp_path / "one", 16, 20)
    (tmp_path / "one/frames/00001.jpg").write_text("no image")
    with pytest.raises(NotFound, match=r"00001\.jpg"):
        score_real_clips(ColourSam().compiled(), find_real_clips(tmp_path))


@pytest.mark.skipif(not DAVIS.is_dir(), reason="../shared/data is not here")
def test_the_clips_of_davis_are_found_and_read() -> None:
    clips = find_real_clips(DAVIS)
    assert len(clips) == 6
    frame, mask = next(clips[0].read()), next(clips[0].truth())
    assert frame.shape == (480, 854, 3) and mask.shape == (480, 854)
    assert 0 < mask.mean() < 0.5
