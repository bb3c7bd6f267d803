"""Cut-outs: size, silhouette, and no colour of the old background at their edges."""

from __future__ import annotations

import numpy as np
import pytest

from lab.training.world.cutouts import cut_out, mirrored
from lab.training.world.sprites import SPRITE_EXTENT, Sprite

SIDE = 130


def red_on_green() -> Sprite:
    image = np.zeros((100, 160, 3), np.uint8)
    image[..., 1] = 255
    image[30:70, 40:120] = (255, 0, 0)
    mask = np.zeros((100, 160), np.uint8)
    mask[30:70, 40:120] = 1
    sprite = cut_out(image, mask, SIDE, 0.8)
    assert sprite is not None
    return sprite


def test_the_longer_side_spans_two_units_and_area_is_that_of_the_silhouette() -> None:
    sprite = red_on_green()
    assert sprite.pixels.shape == (SIDE, SIDE, 4)
    assert np.ptp(sprite.hull[:, 0]) == pytest.approx(2.0, abs=0.1)
    assert np.ptp(sprite.hull[:, 1]) == pytest.approx(1.0, abs=0.1)
    assert sprite.area == pytest.approx(2.0, rel=0.1)


def test_no_pixel_that_shows_has_the_old_backgrounds_colour() -> None:
    sprite = red_on_green()
    shown = sprite.rgb[sprite.alpha > 0]
    assert (shown[:, 0] > 200).all() and (shown[:, 1] < 60).all()


def test_a_mirrored_sprite_has_the_mirrored_silhouette() -> None:
    image, mask = np.zeros((60, 60, 3), np.uint8), np.zeros((60, 60), np.uint8)
    mask[10:50, 10:20] = mask[40:50, 10:40] = 1  # an L
    sprite = cut_out(image, mask, 80, 0.5)
    assert sprite is not None
    other = mirrored(sprite)
    assert np.array_equal(other.alpha, sprite.alpha[:, ::-1])
    assert other.hull[:, 0].min() == pytest.approx(-sprite.hull[:, 0].max())
    assert abs(other.hull).max() < SPRITE_EXTENT


def test_an_empty_mask_has_no_cut_out() -> None:
    assert cut_out(np.zeros((20, 20, 3), np.uint8), np.zeros((20, 20), np.uint8), 40, 1.0) is None
