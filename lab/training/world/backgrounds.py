"""Backgrounds: plain walls, noise, surfaces, and textures with the statistics of photographs.

Two tones are chosen first, so that the objects' colours stand out from them; painting stays close to these.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from cv2.typing import MatLike
from numpy.typing import NDArray

from lab.training.world.colours import Rgb, between, cielab, rgb_of
from lab.training.world.noise import fractal_noise, sensor_noise

Size = tuple[int, int]
"Height and width in pixels."
Tones = NDArray[np.float32]
"(2, 3) RGB: the background's colours are between them."
Canvas = NDArray[np.uint8]
"(H, W, 3) RGB."
Range = tuple[float, float]

MIN_CONTRAST_LAB: Final = 27.0
"L*a*b* distance from which an object stands out from a tone; differences below 10 are hardly visible."


@dataclass(frozen=True, slots=True)
class Background:
    """A kind of background: ranges of its colours (HSV), and its painter."""

    hue: Range
    "Degrees."
    saturation: Range
    value: Range
    contrast: float
    "Difference of value between the two tones."
    paint: Callable[[Tones, Size, np.random.Generator], Canvas]


def draw_background(
    kinds: Sequence[str], object_colours: Sequence[Rgb], size: Size, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Paint (H, W, 3) a background of a random kind, in tones from which all objects' colours stand out.

    Returns the best of 12 tries where none has MIN_CONTRAST_LAB.
    """
    best, best_gap, best_kind = None, -1.0, kinds[0]
    for kind in rng.choice(np.asarray(kinds), size=12):
        tones = _tones(BACKGROUNDS[kind], rng)
        gap = clearance(tones, object_colours)
        if gap > best_gap:
            best, best_gap, best_kind = tones, gap, str(kind)
        if gap >= MIN_CONTRAST_LAB:
            break
    assert best is not None
    return BACKGROUNDS[best_kind].paint(best, size, rng)


def clearance(tones: NDArray[np.float32], colours: Sequence[Rgb]) -> float:
    """Return the least L*a*b* distance of the colours (0..255) from both tones and their mean.

    Infinite without colours.
    """
    if not colours:
        return math.inf
    first, second = tones
    shades = cielab([first, second, (first + second) / 2, *colours])
    gaps = shades[:3, None] - shades[None, 3:]
    return math.sqrt(float((gaps * gaps).sum(axis=2).min()))


def _tones(background: Background, rng: np.random.Generator) -> Tones:
    hue, saturation = rng.uniform(*background.hue), rng.uniform(*background.saturation)
    value = rng.uniform(*background.value)
    contrast = background.contrast * float(rng.choice((-1, 1)))
    first = rgb_of(hue, saturation, value)
    second = rgb_of(
        hue + rng.uniform(-12, 12),
        saturation * rng.uniform(0.7, 1.1),
        float(np.clip(value + contrast, 0.08, 0.95)),
    )
    return np.array([first, second], dtype=np.float32)


# --- painters -------------------------------------------------------------------------------------


def _dull(tones: Tones, size: Size, rng: np.random.Generator) -> Canvas:
    """Paint a wall with blotches and fine grain."""
    height, width = size
    cells = int(rng.choice((2, 3, 6, 12)))
    blotches = rng.uniform(-1, 1, size=(cells, cells)).astype(np.float32)
    wide = cv2.resize(blotches, (width, height), interpolation=cv2.INTER_CUBIC)
    small = sensor_noise(rng, (max(height // 2, 1), max(width // 2, 1)))[..., 0].astype(np.float32) - 128
    fine = cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST)
    texture = cv2.addWeighted(wide, rng.uniform(0, 22), fine, rng.uniform(0, 0.5), 0)
    return _within([cv2.convertScaleAbs(texture, beta=tone) for tone in tones[0].tolist()])


def _flat(tones: Tones, size: Size, rng: np.random.Generator) -> Canvas:
    return _between(tones, np.full(size, rng.uniform(), dtype=np.float32))


def _gradient(tones: Tones, size: Size, rng: np.random.Generator) -> Canvas:
    turn = rng.uniform(0, 2 * math.pi)
    y, x = _axes(size)
    along = 0.5 + 0.5 * (x * math.cos(turn) + y * math.sin(turn))
    return _between(tones, along.astype(np.float32))


def _fractal(tones: Tones, size: Size, rng: np.random.Generator) -> Canvas:
    return _between(tones, 0.5 + 0.3 * fractal_noise(rng, size, float(rng.uniform(0.1, 0.9))))


def _tiles(tones: Tones, size: Size, rng: np.random.Generator) -> Canvas:
    """Paint a tiled floor or wall with joints, every tile of a slightly different tone."""
    return _masonry(tones, size, rng, shape=1.0, shifted=False)


def _bricks(tones: Tones, size: Size, rng: np.random.Generator) -> Canvas:
    return _masonry(tones, size, rng, shape=2.4, shifted=True)


def _masonry(tones: Tones, size: Size, rng: np.random.Generator, *, shape: float, shifted: bool) -> Canvas:
    y, x = _axes(size)
    rows = float(rng.uniform(2.5, 5.0)) if shape == 1.0 else float(rng.uniform(4.5, 8.0))
    down = (y[:, 0] + 2) * rows
    row = np.floor(down).astype(np.intp)
    courses = np.arange(row[0], row[-1] + 1)[:, None]
    across = (x + 2) * (rows / shape) + (0.5 if shifted else 0.0) * (courses % 2)
    column = np.floor(across).astype(np.intp)
    shades = rng.uniform(0.0, 0.75, size=(64, 64)).astype(np.float32)[courses % 64, column % 64]
    joint = 0.04 if shape == 1.0 else 0.09
    shades[across - column < joint / shape] = _JOINT
    share = shades[row - row[0]] + 0.08 * fractal_noise(rng, size, 0.7)
    share[down - row < joint] = _JOINT
    return _between(tones, share)


_JOINT: Final = 2.0
"Share of the second tone, far above 1: clipped, so that joints have no grain."


def _grass(tones: Tones, size: Size, rng: np.random.Generator) -> Canvas:
    """Paint upright blades over horizontal patches."""
    blades = fractal_noise(rng, size, 0.95, stretch=4.0)
    patches = fractal_noise(rng, size, 0.2, stretch=0.5)
    return _between(tones, 0.5 + 0.28 * blades + 0.2 * patches)


def _wood(tones: Tones, size: Size, rng: np.random.Generator) -> Canvas:
    """Paint planks with grain along them."""
    _, x = _axes(size)
    across = (x + 2) * rng.uniform(1.5, 3.5)
    plank = np.floor(across).astype(np.intp)
    share = rng.uniform(0.15, 0.7, size=64).astype(np.float32)[plank % 64]
    share = share + 0.2 * fractal_noise(rng, size, 0.8, stretch=9.0)
    share[:, (across - plank < 0.03)[0]] = 1.0
    return _between(tones, share)


def _landscape(tones: Tones, size: Size, rng: np.random.Generator) -> Canvas:
    """Paint a sky with clouds over land."""
    y, _ = _axes(size)
    land = rgb_of(float(rng.uniform(30, 110)), float(rng.uniform(0.12, 0.35)), float(rng.uniform(0.35, 0.6)))
    ridge = rng.uniform(-0.3, 0.4) + 0.06 * fractal_noise(rng, size, 0.12)[:1]
    clouds = 0.2 * fractal_noise(rng, size, 0.4, stretch=0.5)
    sky = _between(tones, clouds + (0.5 + 0.35 * y))
    below = y - ridge
    light = cv2.addWeighted(
        fractal_noise(rng, size, 0.7, stretch=0.5), 0.13, np.maximum(below, 0.0), -0.12, 1
    )
    # Only the sky's tones were checked against the objects' colours: the land is blended towards the sky.
    haze = [0.4 * float(tone) for tone in tones.mean(axis=0)]
    soil = [
        cv2.convertScaleAbs(light, alpha=0.6 * tone, beta=air) for tone, air in zip(land, haze, strict=True)
    ]
    cv2.copyTo(cv2.merge(soil), (below > 0).astype(np.uint8), sky)
    return sky


def _photo(tones: Tones, size: Size, rng: np.random.Generator) -> Canvas:
    """Paint noise with the spectrum of photographs: strong in luminance, weak in colour, with a vignette."""
    light = fractal_noise(rng, size, float(rng.uniform(0.15, 0.5)))
    share = np.clip(0.5 + 0.33 * light, 0, 1)
    warm, lush = fractal_noise(rng, size, 0.15), fractal_noise(rng, size, 0.3)
    y, x = _axes(size)
    vignette = 1.02 - 0.09 * (x * x + y * y)
    channels = []
    for low, high, by_warm, by_lush in zip(*tones.tolist(), (9.0, 0.9, -9.0), (-3.0, 5.0, -3.0), strict=True):
        tint = cv2.addWeighted(warm, by_warm, lush, by_lush, low)
        channels.append(cv2.convertScaleAbs(cv2.scaleAdd(share, high - low, tint) * vignette))
    return _within(channels)


def _clutter(tones: Tones, size: Size, rng: np.random.Generator) -> Canvas:
    """Paint 8 to 25 small irregular polygons in the background's tones over smooth noise."""
    canvas = _fractal(tones, size, rng)
    height, width = size
    first, second = tones
    for _ in range(int(rng.integers(8, 26))):
        middle = rng.random(2) * (width, height)
        polygon = _irregular_polygon(middle, int(rng.integers(3, 8)), (0.02 * height, 0.09 * height), rng)
        tone = first + rng.uniform(-0.1, 1.1) * (second - first) + rng.uniform(-10, 10)
        cv2.fillPoly(canvas, [polygon], tone.tolist(), lineType=cv2.LINE_AA, shift=4)
    return canvas


def _leaves(tones: Tones, size: Size, rng: np.random.Generator) -> Canvas:
    """Paint polygons of all sizes over each other under uneven light: the dead-leaves model of natural images
    (Lee, Mumford and Huang 2001). The largest ones are textured."""
    canvas = BACKGROUNDS["photo"].paint(tones, size, rng)
    large = rng.uniform(0.3, 0.7, size=int(rng.integers(3, 7)))
    # The density of radii falls with their cube, which makes the image self-similar over scales.
    small = 0.04 / np.sqrt(1 - rng.random(int(rng.integers(8, 45))) * (1 - (0.04 / 0.3) ** 2))
    for rank, radius in enumerate((*large, *small)):
        middle, reach = rng.random(2) * size[::-1], float(radius * size[0])
        leaf = _irregular_polygon(middle, int(rng.integers(4, 9)), (reach, reach), rng)
        tone = np.clip(tones[rank % 2] * rng.uniform(0.5, 1.5) + rng.uniform(-25, 25, size=3), 8, 245)
        if rank < len(large):
            _fill_textured(canvas, leaf, tone, rng)
        else:
            cv2.fillPoly(canvas, [leaf], tone.tolist(), lineType=cv2.LINE_AA, shift=4)
    light = cv2.convertScaleAbs(
        fractal_noise(rng, size, rng.uniform(0.2, 0.9)), alpha=rng.uniform(3, 18), beta=100
    )
    shone = cv2.multiply(canvas, cv2.merge([light] * 3), scale=1 / 100)
    return np.asarray(cv2.GaussianBlur(shone, (3, 3), rng.uniform(0.3, 0.9)), dtype=np.uint8)


def _fill_textured(
    canvas: Canvas, leaf: NDArray[np.int32], tone: NDArray[np.float64], rng: np.random.Generator
) -> None:
    painters = (_gradient, _gradient, _fractal, _grass, _wood, _bricks)
    size = canvas.shape[0], canvas.shape[1]
    tones = np.array([tone, rng.uniform(0.6, 1.0) * tone], dtype=np.float32)
    where = cv2.fillPoly(np.zeros(size, dtype=np.uint8), [leaf], 1, shift=4)
    cv2.copyTo(painters[int(rng.integers(len(painters)))](tones, size, rng), where, canvas)


def _irregular_polygon(
    middle: NDArray[np.float64], corners: int, radii: Range, rng: np.random.Generator
) -> NDArray[np.int32]:
    """Return (2 corners, 2): an outline in 1/16 pixels whose sides bulge outwards and inwards by turns.

    With straight sides it could pass for a triangle or a square, with all bent inwards for a star.
    """
    angle = np.sort(rng.uniform(0, 2 * math.pi, size=corners))
    reach = rng.uniform(*radii) * rng.uniform(0.4, 1.0, size=corners)
    tips = np.array([reach * np.cos(angle), reach * np.sin(angle)]).T
    deformation = np.where(np.arange(corners) % 2, 0.62, 0.38)[:, None]
    sides = deformation * (tips + np.concatenate([tips[1:], tips[:1]]))
    outline = np.stack([tips, sides], axis=1).reshape(-1, 2) + middle
    return np.asarray((outline * 16).round().astype(np.int32))


def _between(tones: Tones, share: NDArray[np.float32]) -> Canvas:
    """Mix both tones per pixel; the share is clipped to 0..1."""
    low, high = tones.tolist()
    return between(low, high, np.clip(share, 0, 1, dtype=np.float32))


def _within(channels: list[MatLike]) -> Canvas:
    """Merge channels, clipped to 4..250."""
    return np.clip(np.asarray(cv2.merge(channels), dtype=np.uint8), 4, 250)


def _axes(size: Size) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return (H, 1) and (1, W): y and x from -1 to 1."""
    y = np.linspace(-1, 1, size[0], dtype=np.float32)[:, None]
    return y, np.linspace(-1, 1, size[1], dtype=np.float32)[None]


_ANY: Final = (0.0, 360.0)
BACKGROUNDS: Final[dict[str, Background]] = {
    "dull": Background(_ANY, (0.0, 0.18), (0.18, 0.55), 0.0, _dull),
    "flat": Background(_ANY, (0.0, 0.35), (0.15, 0.85), 0.05, _flat),
    "gradient": Background(_ANY, (0.0, 0.35), (0.15, 0.85), 0.25, _gradient),
    "fractal": Background(_ANY, (0.0, 0.4), (0.15, 0.85), 0.2, _fractal),
    "tiles": Background(_ANY, (0.0, 0.25), (0.25, 0.85), 0.16, _tiles),
    "bricks": Background((4.0, 26.0), (0.2, 0.45), (0.4, 0.65), 0.2, _bricks),
    "grass": Background((70.0, 115.0), (0.25, 0.5), (0.25, 0.5), 0.17, _grass),
    "wood": Background((18.0, 36.0), (0.2, 0.42), (0.4, 0.75), 0.16, _wood),
    "landscape": Background((195.0, 218.0), (0.12, 0.4), (0.6, 0.85), 0.15, _landscape),
    "photo": Background(_ANY, (0.05, 0.4), (0.2, 0.7), 0.3, _photo),
    "clutter": Background(_ANY, (0.03, 0.3), (0.2, 0.75), 0.2, _clutter),
    "leaves": Background(_ANY, (0.03, 0.4), (0.3, 0.8), 0.3, _leaves),
}
"By name."
