"""What things are seen against: dull walls, noise, and surfaces that look photographed.

A ground is made of tones chosen first, in colours that leave the things visible; painting stays near them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.training.world.colours import Rgb, lab, rgb_of
from engines.training.world.noise import field, grain

Size = tuple[int, int]
"Height and width in pixels."
Tones = NDArray[np.float32]
"(2, 3) RGB: the ground lies between them."
Canvas = NDArray[np.float32]
"(H, W, 3) RGB, 0..255, not yet cut off at the ends."
Span = tuple[float, float]

CLEAR_OF: Final = 27.0
"Distance in L*a*b* from which a thing stands out from a tone; below about 10 an eye takes both for one."


@dataclass(frozen=True, slots=True)
class Ground:
    """A kind of ground: what colours it has, and how it is painted."""

    hue: Span
    saturation: Span
    value: Span
    apart: float
    "How far its second tone's value lies from the first one's."
    paint: Callable[[Tones, Size, np.random.Generator], Canvas]


def draw_ground(
    kinds: Sequence[str], things: Sequence[Rgb], size: Size, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """(H, W, 3): one of the kinds, in tones clear of all things' colours or as clear as can be had."""
    best, best_gap, best_kind = None, -1.0, kinds[0]
    for kind in rng.choice(np.asarray(kinds), size=12):
        tones = _tones(GROUNDS[kind], rng)
        gap = clearance(tones, things)
        if gap > best_gap:
            best, best_gap, best_kind = tones, gap, str(kind)
        if gap >= CLEAR_OF:
            break
    assert best is not None
    canvas = GROUNDS[best_kind].paint(best, size, rng)
    return np.clip(canvas, 4, 250).astype(np.uint8)


def clearance(tones: NDArray[np.float32], things: Sequence[Rgb]) -> float:
    """Least L*a*b* distance of any thing's colour (0..255) from any tone and their middle."""
    shades = lab(np.concatenate([tones, tones.mean(axis=0, keepdims=True)]).astype(np.float64))
    others = lab(list(things))
    return float(np.linalg.norm(shades[:, None] - others[None], axis=2).min())


def _tones(ground: Ground, rng: np.random.Generator) -> Tones:
    hue, saturation = rng.uniform(*ground.hue), rng.uniform(*ground.saturation)
    value = rng.uniform(*ground.value)
    apart = ground.apart * float(rng.choice((-1, 1)))
    first = rgb_of(hue, saturation, value)
    second = rgb_of(
        hue + rng.uniform(-12, 12),
        saturation * rng.uniform(0.7, 1.1),
        float(np.clip(value + apart, 0.08, 0.95)),
    )
    return np.array([first, second], dtype=np.float32)


# --- painters -------------------------------------------------------------------------------------


def _dull(tones: Tones, size: Size, rng: np.random.Generator) -> Canvas:
    """A wall with blotches and a fine grain."""
    height, width = size
    cells = int(rng.choice((2, 3, 6, 12)))
    blotches = rng.uniform(-1, 1, size=(cells, cells)).astype(np.float32)
    wide = cv2.resize(blotches, (width, height), interpolation=cv2.INTER_CUBIC)
    small = grain(rng, (max(height // 2, 1), max(width // 2, 1)))[..., 0].astype(np.float32)
    fine = cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST)
    texture = rng.uniform(0, 22) * wide + rng.uniform(0, 0.5) * fine
    return np.asarray(tones[0] + texture[..., None], dtype=np.float32)


def _flat(tones: Tones, size: Size, rng: np.random.Generator) -> Canvas:
    return _between(tones, np.full(size, rng.uniform(), dtype=np.float32))


def _gradient(tones: Tones, size: Size, rng: np.random.Generator) -> Canvas:
    turn = rng.uniform(0, 2 * math.pi)
    y, x = _axes(size)
    along = 0.5 + 0.5 * (x * math.cos(turn) + y * math.sin(turn))
    return _between(tones, along.astype(np.float32))


def _fractal(tones: Tones, size: Size, rng: np.random.Generator) -> Canvas:
    return _between(tones, 0.5 + 0.3 * field(rng, size, float(rng.uniform(0.1, 0.9))))


def _tiles(tones: Tones, size: Size, rng: np.random.Generator) -> Canvas:
    """A tiled floor or wall, every tile a little different, with joints."""
    return _masonry(tones, size, rng, shape=1.0, shifted=False)


def _bricks(tones: Tones, size: Size, rng: np.random.Generator) -> Canvas:
    return _masonry(tones, size, rng, shape=2.4, shifted=True)


def _masonry(tones: Tones, size: Size, rng: np.random.Generator, *, shape: float, shifted: bool) -> Canvas:
    y, x = _axes(size)
    rows = float(rng.uniform(2.5, 5.0)) if shape == 1.0 else float(rng.uniform(4.5, 8.0))
    down = (y + 2) * rows
    row = np.floor(down).astype(np.intp)
    across = (x + 2) * rows / shape + (0.5 * (row % 2) if shifted else 0.0)
    column = np.floor(across).astype(np.intp)
    joint = 0.04 if shape == 1.0 else 0.09
    lines = (down - row < joint) | (across - column < joint / shape)
    share = rng.uniform(0.0, 0.75, size=(64, 64)).astype(np.float32)[row % 64, column % 64]
    share = np.where(lines, np.float32(1.0), share + 0.08 * field(rng, size, 0.7))
    return _between(tones, share)


def _grass(tones: Tones, size: Size, rng: np.random.Generator) -> Canvas:
    """Blades that stand, patches that lie."""
    blades = field(rng, size, 0.95, stretch=4.0)
    patches = field(rng, size, 0.2, stretch=0.5)
    return _between(tones, 0.5 + 0.28 * blades + 0.2 * patches)


def _wood(tones: Tones, size: Size, rng: np.random.Generator) -> Canvas:
    """Planks with a grain along them."""
    _, x = _axes(size)
    across = (x + 2) * rng.uniform(1.5, 3.5)
    plank = np.floor(across).astype(np.intp)
    share = rng.uniform(0.15, 0.7, size=64).astype(np.float32)[plank % 64]
    share = share + 0.2 * field(rng, size, 0.8, stretch=9.0)
    return _between(tones, np.where(across - plank < 0.03, np.float32(1.0), share))


def _landscape(tones: Tones, size: Size, rng: np.random.Generator) -> Canvas:
    """A sky with clouds over ground that gets finer towards the horizon."""
    y, _ = _axes(size)
    land = rgb_of(float(rng.uniform(30, 110)), float(rng.uniform(0.12, 0.35)), float(rng.uniform(0.35, 0.6)))
    ridge = rng.uniform(-0.3, 0.4) + 0.06 * field(rng, size, 0.12)[:1]
    sky = _between(tones, 0.5 + 0.35 * y + 0.2 * field(rng, size, 0.4, stretch=0.5))
    far = np.maximum(y - ridge, 0.0)
    light = 1 + 0.13 * field(rng, size, 0.7, stretch=0.5) - 0.12 * far
    # The sky's tones alone were checked against the things: the land is drawn nearer to them.
    soil = [0.6 * land[c] * light + 0.4 * float(tones[:, c].mean()) for c in range(3)]
    cv2.copyTo(cv2.merge(soil), (y > ridge).astype(np.uint8), sky)
    return sky


def _photo(tones: Tones, size: Size, rng: np.random.Generator) -> Canvas:
    """Amplitudes as in nature: much light and dark, a little colour, a soft focus, a vignette."""
    light = field(rng, size, float(rng.uniform(0.15, 0.5)))
    canvas = _between(tones, 0.5 + 0.33 * light)
    canvas += (9.0 * field(rng, size, 0.15))[..., None] * np.array([1.0, 0.1, -1.0], dtype=np.float32)
    canvas += (5.0 * field(rng, size, 0.3))[..., None] * np.array([-0.6, 1.0, -0.6], dtype=np.float32)
    y, x = _axes(size)
    return canvas * (1.02 - 0.09 * (x**2 + y**2))[..., None]


def _clutter(tones: Tones, size: Size, rng: np.random.Generator) -> Canvas:
    """Scraps without a name, in the ground's own tones, over a soft ground."""
    canvas = np.ascontiguousarray(_fractal(tones, size, rng))
    height, width = size
    for _ in range(int(rng.integers(8, 26))):
        middle = rng.uniform((0, 0), (width, height))
        corners = int(rng.integers(3, 8))
        angle = np.sort(rng.uniform(0, 2 * math.pi, size=corners))
        radius = rng.uniform(0.02, 0.09) * height * rng.uniform(0.4, 1.0, size=(corners, 1))
        outline = middle + radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        tone = tones[0] + rng.uniform(-0.1, 1.1) * (tones[1] - tones[0]) + rng.uniform(-10, 10)
        fixed = np.round(outline * 16).astype(np.int32)
        cv2.fillPoly(canvas, [fixed], [float(c) for c in tone], lineType=cv2.LINE_AA, shift=4)
    return canvas


def _between(tones: Tones, share: NDArray[np.float32]) -> Canvas:
    """Each pixel a mixture of both tones; a share outside 0..1 stays at the tone."""
    share = np.clip(share, 0, 1, dtype=np.float32)
    channels = [float(low) + share * float(high - low) for low, high in tones.T]
    return np.asarray(cv2.merge(channels), dtype=np.float32)


def _axes(size: Size) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(H, 1) and (1, W): -1..1 down and across."""
    y = np.linspace(-1, 1, size[0], dtype=np.float32)[:, None]
    return y, np.linspace(-1, 1, size[1], dtype=np.float32)[None]


_ANY: Final = (0.0, 360.0)
GROUNDS: Final[dict[str, Ground]] = {
    "dull": Ground(_ANY, (0.0, 0.18), (0.18, 0.55), 0.0, _dull),
    "flat": Ground(_ANY, (0.0, 0.35), (0.15, 0.85), 0.05, _flat),
    "gradient": Ground(_ANY, (0.0, 0.35), (0.15, 0.85), 0.25, _gradient),
    "fractal": Ground(_ANY, (0.0, 0.4), (0.15, 0.85), 0.2, _fractal),
    "tiles": Ground(_ANY, (0.0, 0.25), (0.25, 0.85), 0.16, _tiles),
    "bricks": Ground((4.0, 26.0), (0.2, 0.45), (0.4, 0.65), 0.2, _bricks),
    "grass": Ground((70.0, 115.0), (0.25, 0.5), (0.25, 0.5), 0.17, _grass),
    "wood": Ground((18.0, 36.0), (0.2, 0.42), (0.4, 0.75), 0.16, _wood),
    "landscape": Ground((195.0, 218.0), (0.12, 0.4), (0.6, 0.85), 0.15, _landscape),
    "photo": Ground(_ANY, (0.05, 0.4), (0.2, 0.7), 0.3, _photo),
    "clutter": Ground(_ANY, (0.03, 0.3), (0.2, 0.75), 0.2, _clutter),
}
"By name."
