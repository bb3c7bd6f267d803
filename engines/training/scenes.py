"""The drawn world: moving coloured shapes with exact masks and unambiguous words about them.

Every clip is a function of its seed. World units are picture heights: the picture spans [0, aspect) x [0, 1)
and is squeezed to the size asked for, as a camera's 16:9 picture is squeezed to a model's square input.
Seeds below `HELD_OUT_SEED` are for training, the others only for measuring.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

KINDS = ("circle", "square", "triangle", "star", "ring")
COLOURS = ("red", "green", "blue", "yellow", "purple", "white")
RGB = {
    "red": (215, 38, 38),
    "green": (40, 160, 60),
    "blue": (45, 85, 220),
    "yellow": (240, 210, 40),
    "purple": (160, 55, 190),
    "white": (238, 238, 238),
}
HELD_OUT_SEED = 1 << 40
"First seed that training never draws."
SAMPLE_FPS = 30.0

_Choice = TypeVar("_Choice")

_SEEN_PX_FRACTION = 0.004
"A thing is talked about from this fraction of the picture on."
_SEEN_OF_WHOLE = 0.4
"... and from this fraction of its own whole shape on."


@dataclass(frozen=True, slots=True)
class Thing:
    """What a thing is; where it is, is in the masks."""

    kind: str
    colour: str


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """Consecutive pictures and the truth about them."""

    frames: NDArray[np.uint8]
    "(T, H, W, 3) RGB."
    masks: NDArray[np.bool_]
    "(T, N, H, W): the visible part of each thing; no pixel belongs to two."
    whole_px: NDArray[np.float32]
    "(T, N): area of each thing's whole shape in pixels, hidden and out-of-picture parts included."
    things: tuple[Thing, ...]
    "N things; a later one is in front of an earlier one."


@dataclass(frozen=True, slots=True)
class Expression:
    """Words about one frame and the things they mean."""

    text: str
    kind: str
    'One of "colour", "kind", "both", "place", "absent".'
    targets: tuple[int, ...]
    "Indices into the clip's things; () when absent."


@dataclass(frozen=True, slots=True)
class _Body:
    """How a thing looks and moves; lengths in picture heights, times in seconds."""

    thing: Thing
    rgb: tuple[int, int, int]
    shade: tuple[float, float]
    "Brightness at the left and the right edge."
    size: float
    pulse: float
    tilt: float
    swing: float
    start: tuple[float, float]
    velocity: tuple[float, float]
    margin: float
    "How far the centre stays inside the picture's edge; negative lets the thing leave."
    rate: float
    "Angular frequency of pulse and swing, rad/s."


@dataclass(frozen=True, slots=True)
class _Lens:
    """How the camera spoils one clip."""

    gain: float
    lift: float
    blur: float
    noise: int
    jpeg: int
    "Quality 1..100; 0 leaves the picture as it is."


_CLEAN = _Lens(1.0, 0.0, 0.0, 0, 0)


def draw_clip(seed: int, *, frames: int, size: tuple[int, int] = (256, 256), stride: float = 1.0) -> Clip:
    """Draw a clip of 2-4 things, the same for the same arguments.

    `size` is (height, width) in pixels; a square picture is squeezed from 1:1, 4:3 or 16:9. Consecutive
    frames are `stride / SAMPLE_FPS` seconds apart.
    """
    rng = np.random.default_rng(seed)
    height, width = size
    aspect = float(rng.choice((1.0, 4 / 3, 16 / 9))) if height == width else width / height
    ground = _ground(rng, size)
    bodies = _cast(rng, aspect)
    lens = _lens(rng)
    moments = [index * stride / SAMPLE_FPS for index in range(frames)]
    drawn = [_picture(bodies, ground, aspect, moment) for moment in moments]
    pictures = np.stack([_photograph(picture, lens, rng) for picture, _, _ in drawn])
    return Clip(
        pictures,
        np.stack([masks for _, masks, _ in drawn]),
        np.stack([whole for _, _, whole in drawn]),
        tuple(body.thing for body in bodies),
    )


def expressions(clip: Clip, frame: int, rng: np.random.Generator) -> list[Expression]:
    """Everything that can be said of a frame without doubt, shuffled; about as much absent as present.

    A thing that is mostly hidden is neither asked for nor called absent.
    """
    seen, doubtful = _visibility(clip, frame)
    said = _present(clip, frame, seen, doubtful, rng)
    absent = _absent(clip, [*seen, *doubtful], rng)
    said += absent[: max(2, len(said) // 2)]
    return [said[index] for index in rng.permutation(len(said))]


def draw_demo(seconds: float, fps: float, size: tuple[int, int] = (360, 640)) -> Iterator[Clip]:
    """The showcase, one single-frame `Clip` after another: things meet, hide each other, leave and come back.

    `size` is (height, width) in pixels; the pictures are clean, a video codec will spoil them.
    """
    rng = np.random.default_rng(HELD_OUT_SEED - 1)
    aspect = size[1] / size[0]
    ground = _ground(rng, size)
    bodies = _demo_cast(aspect)
    for index in range(round(seconds * fps)):
        picture, masks, whole = _picture(bodies, ground, aspect, index / fps)
        spoilt = _photograph(picture, _CLEAN, rng)
        yield Clip(spoilt[None], masks[None], whole[None], tuple(body.thing for body in bodies))


# --- the cast -------------------------------------------------------------------------------------


def _cast(rng: np.random.Generator, aspect: float) -> list[_Body]:
    count = int(rng.integers(2, 5))
    pairs = rng.choice(len(KINDS) * len(COLOURS), size=count, replace=False)
    starts: list[tuple[float, float]] = []
    bodies = []
    for pair in pairs:
        thing = Thing(KINDS[pair % len(KINDS)], COLOURS[pair // len(KINDS)])
        size = float(rng.uniform(0.3, 0.5))
        starts.append(_free_place(rng, aspect, size, starts))
        bodies.append(_body(rng, thing, size, starts[-1]))
    return bodies


def _body(rng: np.random.Generator, thing: Thing, size: float, start: tuple[float, float]) -> _Body:
    leaves = rng.random() < 0.25
    speed = rng.uniform(0.5, 1.3) if leaves else rng.uniform(0.0, 0.6)
    heading = rng.uniform(0, 2 * math.pi)
    jitter = rng.integers(-16, 17, size=3)
    red, green, blue = (int(c) for c in np.clip(np.add(RGB[thing.colour], jitter), 0, 255))
    return _Body(
        thing=thing,
        rgb=(red, green, blue),
        shade=(float(rng.uniform(0.82, 1.08)), float(rng.uniform(0.82, 1.08))),
        size=size,
        pulse=float(rng.uniform(0, 0.12)),
        tilt=float(rng.uniform(-0.3, 0.3)),
        swing=float(rng.uniform(0, 0.3)),
        start=start,
        velocity=(float(speed * math.cos(heading)), float(speed * math.sin(heading))),
        margin=-0.75 * size if leaves else 0.4 * size,
        rate=float(rng.uniform(0.5, 2.5)),
    )


def _free_place(
    rng: np.random.Generator, aspect: float, size: float, taken: list[tuple[float, float]]
) -> tuple[float, float]:
    """A place inside the picture, the loneliest of a few tries."""
    margin = 0.45 * size
    tries = rng.uniform((margin, margin), (aspect - margin, 1 - margin), size=(6, 2))
    loneliness = [min((math.dist(place, other) for other in taken), default=0.0) for place in tries]
    best = tries[int(np.argmax(loneliness))]
    return float(best[0]), float(best[1])


def _demo_cast(aspect: float) -> list[_Body]:
    parts = (
        (Thing("square", "blue"), 0.40, (0.35 * aspect, 0.60), (0.16, 0.06), 0.22),
        (Thing("star", "yellow"), 0.40, (0.75 * aspect, 0.35), (-0.20, 0.11), 0.22),
        (Thing("triangle", "green"), 0.38, (0.60 * aspect, 0.72), (0.10, -0.05), 0.22),
        (Thing("circle", "red"), 0.34, (0.15 * aspect, 0.30), (0.34, 0.07), -0.34),
    )
    return [
        _Body(
            thing=thing,
            rgb=RGB[thing.colour],
            shade=(1.06, 0.88),
            size=size,
            pulse=0.06,
            tilt=0.0,
            swing=0.15,
            start=start,
            velocity=velocity,
            margin=margin,
            rate=1.1,
        )
        for thing, size, start, velocity, margin in parts
    ]


def _bounce(start: float, velocity: float, low: float, high: float, moment: float) -> float:
    """Position of a ball between two walls: a triangle wave."""
    span = max(high - low, 1e-6)
    phase = (start - low + velocity * moment) % (2 * span)
    return low + (phase if phase <= span else 2 * span - phase)


def _outline(kind: str) -> list[NDArray[np.float64]]:
    """Contours of a shape that fits a circle of radius about 1, y down; even-odd filled."""
    turn = np.linspace(0, 2 * math.pi, 48, endpoint=False)
    circle = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    if kind == "circle":
        return [circle]
    if kind == "ring":
        return [circle, 0.52 * circle]
    if kind == "square":
        return [0.9 * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], dtype=np.float64)]
    if kind == "triangle":
        return [1.12 * np.array([[0, -1], [0.95, 0.75], [-0.95, 0.75]], dtype=np.float64)]
    spikes = np.arange(10) * math.pi / 5 - math.pi / 2
    radius = np.where(np.arange(10) % 2 == 0, 1.15, 0.5)
    return [np.stack([radius * np.cos(spikes), radius * np.sin(spikes)], axis=1)]


_OUTLINES = {kind: _outline(kind) for kind in KINDS}


def _contours(body: _Body, aspect: float, size: tuple[int, int], moment: float) -> list[NDArray[np.float64]]:
    """The body's contours in pixels (x, y) at a moment."""
    x = _bounce(body.start[0], body.velocity[0], body.margin, aspect - body.margin, moment)
    y = _bounce(body.start[1], body.velocity[1], body.margin, 1 - body.margin, moment)
    radius = 0.5 * body.size * (1 + body.pulse * math.sin(body.rate * moment))
    angle = body.tilt + body.swing * math.sin(1.3 * body.rate * moment)
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    scale = (size[1] / aspect, size[0])
    return [(radius * outline @ turn + (x, y)) * scale for outline in _OUTLINES[body.thing.kind]]


def _area(points: NDArray[np.float64]) -> float:
    x, y = points[:, 0], points[:, 1]
    return 0.5 * abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1)))


# --- painting -------------------------------------------------------------------------------------

_SUBPIXEL_BITS = 4


def _picture(
    bodies: list[_Body], ground: NDArray[np.uint8], aspect: float, moment: float
) -> tuple[NDArray[np.uint8], NDArray[np.bool_], NDArray[np.float32]]:
    """The clean picture, visible masks (N, H, W), whole areas (N,)."""
    size = ground.shape[0], ground.shape[1]
    picture = ground.copy()
    masks = np.zeros((len(bodies), *size), dtype=np.bool_)
    whole = np.zeros(len(bodies), dtype=np.float32)
    for index, body in enumerate(bodies):
        contours = _contours(body, aspect, size, moment)
        whole[index] = abs(_area(contours[0]) - sum(_area(inner) for inner in contours[1:]))
        box = _clip_box(contours[0], size)
        if box is None:
            continue
        x0, y0, x1, y1 = box
        cover = _cover(contours, (x0, y0, x1, y1))
        _paint(picture[y0:y1, x0:x1], cover, body)
        solid = cover > 127
        masks[:index, y0:y1, x0:x1] &= ~solid
        masks[index, y0:y1, x0:x1] = solid
    return picture, masks, whole


def _clip_box(points: NDArray[np.float64], size: tuple[int, int]) -> tuple[int, int, int, int] | None:
    low = np.floor(points.min(axis=0)).astype(int) - 1
    high = np.ceil(points.max(axis=0)).astype(int) + 2
    x0, y0 = max(int(low[0]), 0), max(int(low[1]), 0)
    x1, y1 = min(int(high[0]), size[1]), min(int(high[1]), size[0])
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def _cover(contours: list[NDArray[np.float64]], box: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    """How much of each pixel of the box the shape covers, 0..255."""
    cover = np.zeros((box[3] - box[1], box[2] - box[0]), dtype=np.uint8)
    fixed = [np.round((points - box[:2]) * (1 << _SUBPIXEL_BITS)).astype(np.int32) for points in contours]
    cv2.fillPoly(cover, fixed, 255, lineType=cv2.LINE_AA, shift=_SUBPIXEL_BITS)
    return cover


def _paint(region: NDArray[np.uint8], cover: NDArray[np.uint8], body: _Body) -> None:
    shade = np.linspace(body.shade[0], body.shade[1], region.shape[1], dtype=np.float32)
    paint = np.minimum(shade[:, None] * np.asarray(body.rgb, dtype=np.float32), 255.0)
    weight = cover[:, :, None].astype(np.float32) / 255.0
    region[:] = (region + weight * (paint[None] - region)).astype(np.uint8)


def _ground(rng: np.random.Generator, size: tuple[int, int]) -> NDArray[np.uint8]:
    """A dull ground: no colour of a thing, never brighter than a mid grey."""
    height, width = size
    base = rng.uniform(35, 135) + rng.uniform(-14, 14, size=3)
    cells = int(rng.choice((2, 3, 6, 12)))
    blotches = rng.uniform(-1, 1, size=(cells, cells)).astype(np.float32)
    wide = cv2.resize(blotches, (width, height), interpolation=cv2.INTER_CUBIC)
    fine = cv2.resize(_NOISE[: height // 2, : width // 2], (width, height), interpolation=cv2.INTER_NEAREST)
    texture = rng.uniform(0, 22) * wide + rng.uniform(0, 0.5) * fine
    painted: NDArray[np.uint8] = np.clip(base + texture[:, :, None], 5, 165).astype(np.uint8)
    return painted


_NOISE: NDArray[np.float32] = np.random.default_rng(7).normal(0, 12, size=(1088, 1088)).astype(np.float32)
_GRAIN: NDArray[np.int16] = np.random.default_rng(8).normal(0, 12, size=(1088, 1088, 3)).astype(np.int16)
"Drawn once: sampling per frame would cost more than drawing it."


def _lens(rng: np.random.Generator) -> _Lens:
    return _Lens(
        gain=float(rng.uniform(0.8, 1.15)),
        lift=float(rng.uniform(-10, 12)),
        blur=float(rng.uniform(0.4, 1.1)) if rng.random() < 0.4 else 0.0,
        noise=int(rng.integers(1, 4)) if rng.random() < 0.4 else 0,
        jpeg=int(rng.integers(25, 90)) if rng.random() < 0.5 else 0,
    )


def _photograph(picture: NDArray[np.uint8], lens: _Lens, rng: np.random.Generator) -> NDArray[np.uint8]:
    if lens is not _CLEAN:
        picture = cv2.convertScaleAbs(picture, alpha=lens.gain, beta=max(lens.lift, -10.0)).astype(np.uint8)
    if lens.blur:
        picture = cv2.GaussianBlur(picture, (5, 5), lens.blur).astype(np.uint8)
    if lens.noise:
        picture = _grainy(picture, lens.noise, rng)
    if lens.jpeg:
        _, coded = cv2.imencode(".jpg", picture[..., ::-1], (cv2.IMWRITE_JPEG_QUALITY, lens.jpeg))
        picture = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR_RGB), dtype=np.uint8)
    return picture


def _grainy(picture: NDArray[np.uint8], strength: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    height, width = picture.shape[:2]
    y, x = int(rng.integers(0, 1089 - height)), int(rng.integers(0, 1089 - width))
    grain = _GRAIN[y : y + height, x : x + width] * np.int16(strength) // np.int16(4)
    return cv2.add(picture, grain, dtype=cv2.CV_8U).astype(np.uint8)


# --- words ----------------------------------------------------------------------------------------


def _visibility(clip: Clip, frame: int) -> tuple[list[int], list[int]]:
    """Things clearly seen, and things seen too little to talk about."""
    area = clip.masks[frame].sum(axis=(1, 2))
    floor = _SEEN_PX_FRACTION * clip.masks[frame, 0].size
    clear = (area >= floor) & (area >= _SEEN_OF_WHOLE * clip.whole_px[frame])
    seen = [index for index in range(len(clip.things)) if clear[index]]
    doubtful = [index for index in range(len(clip.things)) if area[index] > 0 and not clear[index]]
    return seen, doubtful


def _present(
    clip: Clip, frame: int, seen: list[int], doubtful: list[int], rng: np.random.Generator
) -> list[Expression]:
    said = []
    others = [clip.things[index] for index in doubtful]
    for index in seen:
        thing = clip.things[index]
        rivals = [clip.things[other] for other in seen if other != index] + others
        said.append(Expression(f"the {thing.colour} {thing.kind}", "both", (index,)))
        if all(rival.colour != thing.colour for rival in rivals):
            said.append(Expression(_colour_words(thing.colour, rng), "colour", (index,)))
        if all(rival.kind != thing.kind for rival in rivals):
            said.append(Expression(f"the {thing.kind}", "kind", (index,)))
    return said + _places(clip, frame, seen, doubtful)


def _colour_words(colour: str, rng: np.random.Generator) -> str:
    return f"the {colour} {rng.choice(('thing', 'object', 'one', 'shape'))}"


_PLACE_GAP = 0.18
"The extreme thing must lead the next one by this fraction of the picture."


def _places(clip: Clip, frame: int, seen: list[int], doubtful: list[int]) -> list[Expression]:
    """Left, right, top and bottom, where nothing disputes the place."""
    if len(seen) < 2 or doubtful:
        return []
    centres = np.array([_centre(clip.masks[frame, index]) for index in seen])
    said = []
    for words, axis, sign in (("left", 0, 1), ("right", 0, -1), ("top", 1, 1), ("bottom", 1, -1)):
        order = np.argsort(sign * centres[:, axis])
        lead = abs(centres[order[1], axis] - centres[order[0], axis])
        if lead >= _PLACE_GAP:
            said.append(Expression(f"the thing on the {words}", "place", (seen[int(order[0])],)))
    return said


def _centre(mask: NDArray[np.bool_]) -> tuple[float, float]:
    """(x, y) as fractions of the picture."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return float(columns.mean() / mask.shape[1]), float(rows.mean() / mask.shape[0])


def _absent(clip: Clip, visible: list[int], rng: np.random.Generator) -> list[Expression]:
    """Things that are not there: wrong pairs of what is there first, then other colours and kinds."""
    there = {clip.things[index] for index in visible}
    colours, kinds = {thing.colour for thing in there}, {thing.kind for thing in there}
    texts = []
    for _ in range(2):
        near = [Thing(k, c) for c in sorted(colours) for k in sorted(kinds)]
        far = [Thing(str(rng.choice(KINDS)), str(rng.choice(COLOURS)))]
        texts += [f"the {t.colour} {t.kind}" for t in _pick(near, rng) + far if t not in there]
        texts += [_colour_words(c, rng) for c in _pick(sorted(set(COLOURS) - colours), rng)]
        texts += [f"the {k}" for k in _pick(sorted(set(KINDS) - kinds), rng)]
    unique = list(dict.fromkeys(texts))
    return [Expression(unique[index], "absent", ()) for index in rng.permutation(len(unique))]


def _pick(choices: list[_Choice], rng: np.random.Generator) -> list[_Choice]:
    return [choices[int(rng.integers(len(choices)))]] if choices else []
