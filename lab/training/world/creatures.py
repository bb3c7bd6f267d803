"""People, animals and plants, upright, facing right; the pose is random. See `parts` for unit space."""

from __future__ import annotations

import numpy as np

from lab.training.world.parts import (
    Part,
    Tone,
    capsule,
    disc,
    ellipse,
    fill,
    polygon,
    rectangle,
    ring_sector,
    rounded,
)


def person(rng: np.random.Generator) -> list[Part]:
    """Draw a person, standing or walking; coat and trousers have the object's colour."""
    stride, swing = rng.uniform(0.08, 0.3), rng.uniform(0.05, 0.3)
    left, right = (-0.1 - stride, 0.88), (0.1 + stride, 0.88)
    hands = (-0.4 - swing, 0.12), (0.4 + swing, 0.12 - rng.uniform(0, 0.5))
    return [
        *(fill(capsule((x, 0.15), foot, 0.17, 0.12)) for x, foot in ((-0.14, left), (0.14, right))),
        *(fill(capsule(foot, (foot[0] + 0.08, 0.93), 0.09), tone=Tone.DARK) for foot in (left, right)),
        *(fill(capsule((x, -0.38), hand, 0.13, 0.1)) for x, hand in ((-0.24, hands[0]), (0.24, hands[1]))),
        *(fill(disc(hand, 0.1), tone=Tone.SKIN) for hand in hands),
        fill(rectangle((-0.33, -0.52), (0.33, 0.28), 0.13)),
        fill(rectangle((-0.31, 0.1), (0.31, 0.17)), tone=Tone.DARK),
        fill(capsule((0, -0.6), (0, -0.5), 0.1), tone=Tone.SKIN),
        fill(disc((0, -0.76), 0.23), tone=Tone.SKIN),
        fill(ring_sector((0, -0.77), (0.12, 0.26), (3.3, 6.1)), tone=Tone.DARK),
        fill(rectangle((-0.02, -0.5), (0.02, 0.1)), tone=Tone.SHADE),
    ]


def dog(rng: np.random.Generator) -> list[Part]:
    """Draw a dog, standing, from the side."""
    step, wag = rng.uniform(-0.12, 0.12), rng.uniform(-0.15, 0.15)
    legs = ((-0.52, -0.1), (-0.36, 0.1), (0.22, -0.1), (0.38, 0.1))
    return [
        *(fill(capsule((x, 0.15), (x + side * 0.6 + step, 0.72), 0.12, 0.09)) for x, side in legs),
        fill(capsule((-0.58, -0.12), (-0.95, -0.55 + wag), 0.1, 0.06)),
        fill(rectangle((-0.68, -0.25), (0.52, 0.34), 0.28)),
        fill(capsule((0.4, -0.08), (0.58, -0.42), 0.24)),
        fill(disc((0.6, -0.48), 0.27)),
        fill(capsule((0.66, -0.42), (0.95, -0.36), 0.17, 0.13)),
        fill(capsule((0.46, -0.66), (0.36, -0.28), 0.11, 0.13), tone=Tone.SHADE),
        fill(disc((1.05, -0.42), 0.07), tone=Tone.DARK),
        fill(disc((0.72, -0.56), 0.055), tone=Tone.DARK),
        fill(capsule((0.26, -0.22), (0.54, -0.14), 0.05), tone=Tone.LIGHT),
    ]


def cat(rng: np.random.Generator) -> list[Part]:
    """Draw a cat, sitting, from the front, its tail beside it."""
    tail = rng.uniform(0.0, 0.25)
    return [
        fill(ring_sector((0.52, 0.5 - tail), (0.26, 0.44), (-1.2, 1.9))),
        fill(rounded((-0.2, -0.2), (0.2, -0.2), (0.5, 0.35), (0.55, 1.0), (-0.55, 1.0), (-0.5, 0.35))),
        fill(polygon((-0.46, -0.98), (-0.1, -0.66), (-0.44, -0.42))),
        fill(polygon((0.46, -0.98), (0.1, -0.66), (0.44, -0.42))),
        fill(ellipse((0, -0.42), (0.47, 0.38))),
        fill(polygon((-0.39, -0.84), (-0.22, -0.68), (-0.38, -0.58)), tone=Tone.SHADE),
        fill(polygon((0.39, -0.84), (0.22, -0.68), (0.38, -0.58)), tone=Tone.SHADE),
        *(fill(ellipse((x, -0.46), (0.1, 0.11)), tone=Tone.LIGHT) for x in (-0.19, 0.19)),
        *(fill(ellipse((x, -0.46), (0.045, 0.1)), tone=Tone.DARK) for x in (-0.19, 0.19)),
        fill(polygon((-0.07, -0.32), (0.07, -0.32), (0, -0.23)), tone=Tone.DARK),
        fill(ellipse((0, 0.45), (0.2, 0.34)), tone=Tone.TINT),
        fill(capsule((-0.14, 0.6), (-0.14, 0.93), 0.025), tone=Tone.SHADE),
        fill(capsule((0.14, 0.6), (0.14, 0.93), 0.025), tone=Tone.SHADE),
    ]


def bird(rng: np.random.Generator) -> list[Part]:
    """Draw a bird, perched, from the side."""
    brightness = rng.uniform(-0.1, 0.12)
    return [
        *(fill(capsule((x, 0.4), (x + 0.05, 0.9), 0.035), tone=Tone.DARK) for x in (-0.08, 0.12)),
        *(fill(capsule((x, 0.9), (x + 0.2, 0.92), 0.035), tone=Tone.DARK) for x in (-0.08, 0.12)),
        fill(polygon((-0.35, 0.0), (-1.05, 0.2 - brightness), (-1.0, 0.42 - brightness), (-0.3, 0.35))),
        fill(
            rounded(
                (-0.6, 0.15), (-0.1, -0.3), (0.4, -0.6), (0.75, -0.2), (0.5, 0.4), (0.05, 0.62), (-0.4, 0.5)
            )
        ),
        fill(disc((0.42, -0.45), 0.34)),
        fill(polygon((0.72, -0.58), (1.08, -0.42), (0.72, -0.3)), tone=Tone.WOOD),
        fill(
            rounded((-0.7, 0.3), (-0.2, -0.12), (0.3, 0.0), (0.15, 0.36), (-0.3, 0.42)),
            tone=Tone.SHADE,
        ),
        fill(disc((0.52, -0.52), 0.085), tone=Tone.LIGHT),
        fill(disc((0.54, -0.52), 0.05), tone=Tone.DARK),
    ]


def fish(rng: np.random.Generator) -> list[Part]:
    """Draw a fish, from the side."""
    fin = rng.uniform(0.75, 0.9)
    return [
        fill(polygon((-0.4, 0), (-1.0, -0.52), (-0.82, 0), (-1.0, 0.52))),
        fill(polygon((-0.25, -0.3), (0.02, -fin), (0.35, -0.32))),
        fill(polygon((-0.1, 0.32), (-0.12, fin - 0.1), (0.2, 0.34))),
        fill(ellipse((0.2, 0), (0.8, 0.5))),
        fill(ring_sector((0.3, 0), (0.3, 0.36), (-1.0, 1.0)), tone=Tone.SHADE),
        fill(polygon((0.05, 0.0), (-0.3, -0.16), (-0.3, 0.2)), tone=Tone.SHADE),
        fill(disc((0.72, -0.12), 0.1), tone=Tone.LIGHT),
        fill(disc((0.74, -0.12), 0.055), tone=Tone.DARK),
        fill(capsule((0.86, 0.14), (0.95, 0.1), 0.025), tone=Tone.DARK),
    ]


def tree(rng: np.random.Generator) -> list[Part]:
    """Draw a tree: a round crown of the object's colour on a trunk."""
    puff = rng.uniform(-0.05, 0.05, size=5)
    return [
        fill(polygon((-0.1, 0.0), (0.1, 0.0), (0.2, 1.08), (-0.2, 1.08)), tone=Tone.WOOD),
        fill(capsule((0.0, 0.4), (0.36, 0.1), 0.06, 0.04), tone=Tone.WOOD),
        fill(disc((-0.58, -0.12 + puff[0]), 0.36)),
        fill(disc((0.58, -0.12 + puff[1]), 0.36)),
        fill(disc((-0.32, -0.6 + puff[2]), 0.38)),
        fill(disc((0.32, -0.6 + puff[3]), 0.38)),
        fill(disc((0.0, -0.8 + puff[4]), 0.32)),
        fill(disc((0.0, -0.25), 0.42)),
        fill(ring_sector((-0.32, -0.5), (0.2, 0.26), (0.4, 1.9)), tone=Tone.SHADE),
        fill(ring_sector((0.4, -0.22), (0.2, 0.26), (0.4, 1.9)), tone=Tone.SHADE),
        fill(ring_sector((-0.42, 0.0), (0.14, 0.2), (0.4, 1.9)), tone=Tone.SHADE),
    ]


def flower(rng: np.random.Generator) -> list[Part]:
    """Draw a flower: petals of the object's colour on a stem with two leaves."""
    turn = rng.uniform(0, 1)
    angles = turn + np.arange(6) * np.pi / 3
    deformation = rng.uniform(-0.08, 0.08)
    return [
        fill(capsule((0, -0.2), (deformation, 1.0), 0.05), tone=Tone.LEAF),
        fill(ellipse((0.22, 0.62), (0.24, 0.1), -0.6), tone=Tone.LEAF),
        fill(ellipse((-0.22, 0.74), (0.24, 0.1), 0.6), tone=Tone.LEAF),
        *(fill(ellipse((0.4 * np.cos(a), -0.36 + 0.4 * np.sin(a)), (0.29, 0.22), a)) for a in angles),
        fill(disc((0, -0.36), 0.21), tone=Tone.LIGHT),
        fill(disc((0, -0.36), 0.12), tone=Tone.WOOD),
    ]


def mushroom(rng: np.random.Generator) -> list[Part]:
    """Draw a mushroom: a spotted cap of the object's colour on a pale stem."""
    wide = rng.uniform(0.15, 0.22)
    return [
        fill(
            rounded((-wide, 0.0), (wide, 0.0), (wide + 0.1, 1.05), (-wide - 0.1, 1.05)),
            tone=Tone.LIGHT,
        ),
        fill(rounded((-1.15, 0.3), (-0.98, -0.5), (-0.3, -0.92), (0.3, -0.92), (0.98, -0.5), (1.15, 0.3))),
        fill(ellipse((-0.42, -0.32), (0.17, 0.14)), tone=Tone.LIGHT),
        fill(ellipse((0.08, -0.62), (0.15, 0.11)), tone=Tone.LIGHT),
        fill(ellipse((0.5, -0.25), (0.15, 0.14)), tone=Tone.LIGHT),
        fill(ellipse((0.02, -0.12), (0.1, 0.08)), tone=Tone.LIGHT),
    ]


def carrot(rng: np.random.Generator) -> list[Part]:
    """Draw a carrot: a root of the object's colour, point down, with leaves."""
    fan = rng.uniform(0.24, 0.36)
    return [
        fill(capsule((0, -0.4), (-fan, -0.98), 0.05, 0.08), tone=Tone.LEAF),
        fill(capsule((0, -0.4), (fan, -0.98), 0.05, 0.08), tone=Tone.LEAF),
        fill(capsule((0, -0.4), (0, -1.1), 0.05, 0.08), tone=Tone.LEAF),
        fill(
            rounded(
                (-0.36, -0.55),
                (0.36, -0.55),
                (0.36, -0.15),
                (0.1, 0.8),
                (0, 1.15),
                (-0.1, 0.8),
                (-0.36, -0.15),
            )
        ),
        fill(capsule((-0.26, -0.2), (-0.06, -0.17), 0.03), tone=Tone.SHADE),
        fill(capsule((0.22, 0.08), (0.04, 0.11), 0.03), tone=Tone.SHADE),
        fill(capsule((-0.16, 0.4), (-0.02, 0.43), 0.03), tone=Tone.SHADE),
    ]
