"""Pictures stand upright, as their display matrix or Exif data say, with square pixels."""

from __future__ import annotations

import itertools
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from streaming.sources.clip import open_clip
from streaming.sources.orientation import IDENTITY, shown_width, upright
from tests.files import HEIGHT, WIDTH, moving_square, write


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


# Exif 2.32, 4.6.4: which sides of the shown picture are row 0 and column 0 of the stored one.
SHOWN = {
    1: lambda pixels: pixels,
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.transpose(1, 0, 2),
    6: lambda pixels: np.rot90(pixels, 3),
    7: lambda pixels: np.rot90(pixels, 2).transpose(1, 0, 2),
    8: np.rot90,
}


@pytest.mark.parametrize("orientation", SHOWN)
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_a_photograph_is_shown_as_its_exif_data_say(tmp_path: Path, suffix: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"photo.{suffix}"
    Image.fromarray(moving_square(0)).save(path, exif=exif)
    assert_same(first_picture(path), SHOWN[orientation](moving_square(0)))


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.mp4", "libx264"), ("a.mkv", "libx264"), ("a.h264", "libx264"), ("a.mpg", "mpeg2video")],
)
@pytest.mark.parametrize("pixel_aspect", [Fraction(4, 3), Fraction(3, 4)])
def test_pixels_that_are_not_square_are_made_so(
    tmp_path: Path, name: str, codec: str, pixel_aspect: Fraction
) -> None:
    """In MPEG-2 the shape of the whole picture is stored, as 4:3 or 16:9, so that only those are possible."""
    if codec == "mpeg2video":
        pixel_aspect = Fraction(16, 9) / Fraction(WIDTH, HEIGHT)
    path = write(tmp_path / name, codec=codec, frames=2, pixel_aspect=pixel_aspect)
    width = round(WIDTH * pixel_aspect)
    with open_clip(str(path)) as reader:
        assert reader.size == (HEIGHT, width)
    assert_same(first_picture(path), cv2.resize(moving_square(0), (width, HEIGHT)))


def test_pixels_that_are_not_square_are_made_so_before_the_turn(tmp_path: Path) -> None:
    path = write(tmp_path / "phone.mp4", frames=2, turn=(90, False, False), pixel_aspect=Fraction(4, 3))
    assert_same(first_picture(path), np.rot90(cv2.resize(moving_square(0), (round(WIDTH * 4 / 3), HEIGHT))))


@pytest.mark.parametrize("aspect", [None, Fraction(0), Fraction(1), Fraction(1, 9), Fraction(255, 1)])
def test_a_shape_that_no_camera_has_counts_as_square(aspect: Fraction | None) -> None:
    assert shown_width(640, aspect) == 640


def test_a_picture_without_a_turn_is_not_copied() -> None:
    pixels = moving_square(0)
    assert np.shares_memory(upright(pixels, IDENTITY), pixels)
