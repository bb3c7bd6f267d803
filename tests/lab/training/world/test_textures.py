"""Most of every texture has the named colour."""

from __future__ import annotations

import numpy as np
import pytest

from lab.training.world.colours import COLOURS, cielab, sample_colour
from lab.training.world.textures import TEXTURES

SIDE = 64


@pytest.mark.parametrize("texture", TEXTURES)
def test_most_of_a_texture_has_the_named_colour(texture: str) -> None:
    centres = cielab([sample_colour(name, 0.0, np.random.default_rng(0)) for name in COLOURS])
    for colour in COLOURS:
        for seed in range(4):
            rng = np.random.default_rng(seed)
            paint = TEXTURES[texture](sample_colour(colour, 0.6, rng), SIDE, rng)
            pixels = cielab(paint.reshape(-1, 3).astype(np.float64))
            nearest = np.linalg.norm(pixels[:, None] - centres[None], axis=2).argmin(axis=1)
            shares = np.bincount(nearest, minlength=len(COLOURS)) / len(pixels)
            assert COLOURS[int(shares.argmax())] == colour, (colour, seed)
            assert shares.max() > 0.6, (colour, seed, shares.max())


@pytest.mark.parametrize("texture", TEXTURES)
def test_a_texture_is_a_square_of_rgb(texture: str) -> None:
    paint = TEXTURES[texture]((200.0, 40.0, 40.0), SIDE, np.random.default_rng(0))
    assert paint.shape == (SIDE, SIDE, 3) and paint.dtype == np.uint8


def test_only_the_plain_texture_is_uniform() -> None:
    spread = {
        name: float(draw((200.0, 40.0, 40.0), SIDE, np.random.default_rng(0)).std(axis=(0, 1)).max())
        for name, draw in TEXTURES.items()
    }
    assert spread.pop("plain") == 0
    assert min(spread.values()) > 3
