"""Pictures stand upright, as their display matrix says."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from streaming.sources.clip import open_clip
from streaming.sources.orientation import IDENTITY, upright
from tests.files import moving_square, write


def first_picture(path: Path) -> np.ndarray:
    with open_clip(str(path)) as reader:
        return next(frame.pixels for frame in reader.frames() if frame is not None)


def assert_same(shown: np.ndarray, expected: np.ndarray) -> None:
    assert shown.shape == expected.shape
    assert np.abs(shown.astype(int) - expected.astype(int)).mean() < 6
    assert shown.flags.c_contiguous


@pytest.mark.parametrize(
    ("degrees", "across", "down"), list(itertools.product((0, 90, 180, 270), (False, True), (False, True)))
)
def test_a_video_is_shown_as_its_display_matrix_says(
    tmp_path: Path, degrees: int, across: bool, down: bool
) -> None:
    path = write(tmp_path / "phone.mp4", frames=2, turn=(degrees, across, down))
    expected = np.rot90(moving_square(0), degrees // 90)
    expected = expected[:, ::-1] if across else expected
    assert_same(first_picture(path), expected[::-1] if down else expected)


@pytest.mark.parametrize(("orientation", "quarters"), [(1, 0), (3, 2), (6, 3), (8, 1)])
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_a_photograph_is_shown_as_its_exif_data_say(
    tmp_path: Path, suffix: str, orientation: int, quarters: int
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"photo.{suffix}"
    Image.fromarray(moving_square(0)).save(path, exif=exif)
    assert_same(first_picture(path), np.rot90(moving_square(0), quarters))


def test_a_picture_without_a_turn_is_not_copied() -> None:
    pixels = moving_square(0)
    assert np.shares_memory(upright(pixels, IDENTITY), pixels)
