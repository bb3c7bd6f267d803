"""A sprite is its parts over each other, with their area and hull."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lab.training.world.colours import Rgb
from lab.training.world.parts import Part, Tone, disc, fill, rectangle
from lab.training.world.sprites import (
    SPRITE_EXTENT,
    Sprite,
    apply_shading,
    draw_sprite,
    relief_shading,
    side_shading,
)
from lab.training.world.textures import plain

RED: Rgb = (200.0, 30.0, 30.0)
SIDE = 130


def sprite(*parts: Part, rgb: Rgb = RED) -> Sprite:
    rng = np.random.default_rng(0)
    return draw_sprite(list(parts), rgb, plain(rgb, SIDE, rng), rng)


def test_the_area_is_that_of_the_silhouette() -> None:
    """Antialiasing adds half a pixel around it."""
    assert sprite(fill(disc((0, 0), 0.8))).area == pytest.approx(math.pi * 0.64, rel=0.04)
    ring = sprite(fill(disc((0, 0), 0.8), disc((0, 0), 0.4)))
    assert ring.area == pytest.approx(math.pi * 0.48, rel=0.08)
    assert ring.alpha[SIDE // 2, SIDE // 2] == 0, "the hole is transparent"


def test_overlapping_parts_count_once() -> None:
    both = sprite(fill(rectangle((-1, -1), (0.2, 1))), fill(rectangle((-0.2, -1), (1, 1))))
    assert both.area == pytest.approx(4.0, rel=0.03)


def test_the_hull_contains_every_part() -> None:
    drawn = sprite(
        fill(rectangle((-1, -0.2), (0, 0.2))), fill(rectangle((0, -1), (0.1, 0.9)), tone=Tone.DARK)
    )
    np.testing.assert_allclose(drawn.hull.min(axis=0), (-1, -1), atol=1e-6)
    np.testing.assert_allclose(drawn.hull.max(axis=0), (0.1, 0.9), atol=1e-6)


def test_later_parts_cover_earlier_ones_in_their_tone() -> None:
    drawn = sprite(fill(disc((0, 0), 1.0)), fill(disc((0, 0), 0.3), tone=Tone.LIGHT))
    assert drawn.rgb[SIDE // 2, SIDE // 2].min() > 200
    assert tuple(drawn.rgb[SIDE // 2, round(SIDE * 0.8)]) == (200, 30, 30)


@pytest.mark.parametrize("tone", [Tone.DARK, Tone.LIGHT, Tone.SHADE, Tone.TINT])
@pytest.mark.parametrize("rgb", [(12.0, 12.0, 14.0), (240.0, 240.0, 238.0), RED])
def test_details_are_visible_on_every_colour(tone: Tone, rgb: Rgb) -> None:
    drawn = sprite(fill(disc((0, 0), 1.0)), fill(disc((0, 0), 0.3), tone=tone), rgb=rgb)
    detail = drawn.rgb[SIDE // 2, SIDE // 2].astype(float)
    assert np.abs(detail - rgb).max() > 30


def test_rgb_extends_beyond_the_silhouette() -> None:
    assert tuple(sprite(fill(disc((0, 0), 0.5))).rgb[0, 0]) == (200, 30, 30)


def test_side_shading_is_a_horizontal_gradient() -> None:
    drawn = sprite(fill(rectangle((-SPRITE_EXTENT, -SPRITE_EXTENT), (SPRITE_EXTENT, SPRITE_EXTENT))))
    bright = apply_shading(drawn, side_shading((0.5, 1.0))).rgb[SIDE // 2, :, 0].astype(float)
    assert bright[0] == pytest.approx(100, abs=1) and bright[-1] == pytest.approx(200, abs=1)
    assert (np.diff(bright) >= 0).all()


def test_relief_shading_is_brighter_towards_the_light() -> None:
    drawn = sprite(fill(disc((0, 0), 0.9)))
    shade = relief_shading(drawn.alpha, (0.0, -1.0), 0.6)
    side = len(shade)
    top, middle, bottom = (float(shade[round(side * at), side // 2]) for at in (0.22, 0.5, 0.78))
    assert top > 1.02 and bottom < 0.98
    assert middle == pytest.approx(1.0, abs=0.02)
    assert float(shade.min()) >= 0.4 and float(shade.max()) <= 1.6
