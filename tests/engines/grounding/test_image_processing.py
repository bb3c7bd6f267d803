"""Laws of image processing."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from engines.geometry import to_square
from engines.grounding.image_processing import bicubic, grid, halving_bilinear, normalise, smart_resize, tiled
from streaming.errors import InvalidQuery
from streaming.vocabulary import Pixels


def _noise(height: int, width: int) -> Pixels:
    return np.random.default_rng(3).integers(0, 255, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("size", "to"), [((90, 160), (448, 448)), ((720, 1280), (448, 448)), ((200, 300), (448, 150))]
)
def test_bicubic_equals_pil_but_for_rounding(size: tuple[int, int], to: tuple[int, int]) -> None:
    pixels = _noise(*size)
    theirs = np.asarray(Image.fromarray(pixels).resize(to[::-1], Image.Resampling.BICUBIC)).astype(int)
    off = np.abs(bicubic(pixels, *to).astype(int) - theirs)
    assert off.max() <= 2 and (off > 0).mean() < 0.02


def test_a_read_only_image_is_resized_without_a_warning(recwarn: pytest.WarningsRecorder) -> None:
    pixels = _noise(9, 16)
    kept = pixels.copy()
    kept.setflags(write=False)
    np.testing.assert_array_equal(bicubic(kept, 8, 8), bicubic(pixels, 8, 8))
    assert not recwarn.list


def test_an_image_of_the_size_is_unchanged() -> None:
    pixels = _noise(8, 6)
    assert bicubic(pixels, 8, 6) is pixels


def test_halving_bilinear_equals_the_resizing_of_training() -> None:
    pixels = _noise(90, 160)
    np.testing.assert_array_equal(halving_bilinear(pixels, 64, 64), to_square(pixels, 64))


def test_normalise_subtracts_the_mean_and_divides_by_the_deviation() -> None:
    grey = np.full((1, 2, 2, 3), 255, dtype=np.uint8)
    assert normalise(grey).shape == (1, 3, 2, 2)
    assert normalise(grey)[0, :, 0, 0].tolist() == pytest.approx([2.2489, 2.4286, 2.64], abs=1e-3)
    assert normalise(grey, (0.5,) * 3, (0.5,) * 3).eq(1).all()


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [
        (448, 448, (1, 1)),
        (500, 500, (1, 1)),
        (700, 700, (2, 2)),
        (2000, 2000, (3, 3)),
        (640, 360, (2, 1)),
        (1280, 720, (4, 2)),
        (1, 1, (1, 1)),
        (8000, 6000, (4, 3)),
        (10_000, 100, (12, 1)),
        (100, 10_000, (1, 12)),
    ],
)
def test_the_grid_has_the_nearest_aspect_ratio(width: int, height: int, expected: tuple[int, int]) -> None:
    """As in InternVL: of equal ratios the larger grid once the image has half of its pixels."""
    assert grid(width, height, 448, 12) == expected


def test_tiles_are_in_reading_order_then_the_whole_image() -> None:
    pixels = np.zeros((20, 30, 3), dtype=np.uint8)
    for row in range(2):
        for column in range(3):
            pixels[10 * row : 10 * row + 10, 10 * column : 10 * column + 10] = 40 * (3 * row + column)
    tiles = tiled(pixels, 10, 12)
    assert tiles.shape == (7, 10, 10, 3)
    assert [int(tile[5, 5, 0]) for tile in tiles[:6]] == [0, 40, 80, 120, 160, 200]
    np.testing.assert_array_equal(tiles[6], bicubic(pixels, 10, 10))


def test_one_tile_is_the_whole_image_once() -> None:
    assert tiled(_noise(10, 10), 10, 12).shape == (1, 10, 10, 3)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (360, 640), (6000, 8000), (30, 3000), (700, 701)])
def test_smart_resize_gives_multiples_within_the_budget(height: int, width: int) -> None:
    tall, wide = smart_resize(height, width, 28, (512 * 28**2, 2048 * 28**2))
    assert tall % 28 == 0 and wide % 28 == 0
    assert 512 * 28**2 <= tall * wide <= 2048 * 28**2


def test_smart_resize_only_rounds_a_size_within_the_budget() -> None:
    assert smart_resize(701, 1003, 28, (512 * 28**2, 2048 * 28**2)) == (700, 1008)


def test_an_extreme_aspect_ratio_is_an_invalid_query() -> None:
    smart_resize(10, 2000, 28, (1, 10**9))
    with pytest.raises(InvalidQuery, match="2001x10"):
        smart_resize(10, 2001, 28, (1, 10**9))
