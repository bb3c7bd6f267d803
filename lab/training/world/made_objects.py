"""Vehicles, buildings and household objects, upright, facing right; proportions are random. See `parts`."""

from __future__ import annotations

import math

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


def car(rng: np.random.Generator) -> list[Part]:
    """Draw a car, from the side."""
    roof = float(rng.uniform(-0.54, -0.46))
    return [
        fill(polygon((-0.66, 0.0), (-0.44, roof), (0.3, roof), (0.64, 0.0))),
        fill(rectangle((-1.04, -0.12), (1.04, 0.4), 0.16)),
        fill(
            polygon((-0.48, -0.1), (-0.36, roof + 0.1), (-0.12, roof + 0.1), (-0.12, -0.1)), tone=Tone.GLASS
        ),
        fill(polygon((-0.02, -0.1), (-0.02, roof + 0.1), (0.24, roof + 0.1), (0.42, -0.1)), tone=Tone.GLASS),
        *(fill(disc((x, 0.4), 0.22), tone=Tone.DARK) for x in (-0.58, 0.58)),
        *(fill(disc((x, 0.4), 0.08), tone=Tone.LIGHT) for x in (-0.58, 0.58)),
        fill(ellipse((0.97, 0.04), (0.06, 0.08)), tone=Tone.LIGHT),
        fill(rectangle((-0.08, 0.04), (0.06, 0.08)), tone=Tone.SHADE),
    ]


def boat(rng: np.random.Generator) -> list[Part]:
    """Draw a boat with two sails; all but the mast has the object's colour."""
    tall = float(rng.uniform(-1.06, -0.96))
    return [
        fill(rectangle((-0.32, tall), (-0.24, 0.5)), tone=Tone.WOOD),
        fill(polygon((-0.18, tall + 0.05), (0.72, 0.22), (-0.18, 0.22))),
        fill(polygon((-0.38, -0.3), (-0.38, 0.22), (-0.8, 0.22))),
        fill(polygon((-1.05, 0.4), (1.1, 0.4), (0.7, 0.95), (-0.72, 0.95))),
        fill(polygon((-1.02, 0.42), (1.06, 0.42), (0.98, 0.52), (-0.95, 0.52)), tone=Tone.SHADE),
        *(fill(disc((x, 0.72), 0.07), tone=Tone.LIGHT) for x in (-0.4, 0.0, 0.4)),
    ]


def plane(rng: np.random.Generator) -> list[Part]:
    """Draw a plane, from above."""
    sweep = float(rng.uniform(0.25, 0.45))
    return [
        fill(polygon((0.28, -0.1), (0.28 - sweep, -1.0), (-0.05 - sweep, -1.0), (-0.2, -0.1))),
        fill(polygon((0.28, 0.1), (0.28 - sweep, 1.0), (-0.05 - sweep, 1.0), (-0.2, 0.1))),
        fill(
            polygon((-0.65, 0.0), (-0.95, -0.42), (-1.08, -0.42), (-1.0, 0.0), (-1.08, 0.42), (-0.95, 0.42))
        ),
        fill(ellipse((0.0, 0.0), (1.05, 0.19))),
        fill(ellipse((0.8, 0.0), (0.12, 0.1)), tone=Tone.GLASS),
        *(fill(ellipse((0.12 - sweep / 2, y), (0.17, 0.07)), tone=Tone.SHADE) for y in (-0.5, 0.5)),
        fill(capsule((-0.5, 0.0), (0.45, 0.0), 0.03), tone=Tone.SHADE),
    ]


def drone(rng: np.random.Generator) -> list[Part]:
    """Draw a drone, from above: four guarded rotors around a body."""
    reach = float(rng.uniform(0.54, 0.6))
    corners = [(x * reach, y * reach) for x in (-1, 1) for y in (-1, 1)]
    turn = float(rng.uniform(0, math.pi))
    blade = 0.26 * np.array([math.cos(turn), math.sin(turn)])
    return [
        *(fill(capsule((0, 0), corner, 0.1)) for corner in corners),
        *(fill(disc(corner, 0.42), disc(corner, 0.28)) for corner in corners),
        *(
            fill(capsule((x - blade[0], y - blade[1]), (x + blade[0], y + blade[1]), 0.05), tone=Tone.DARK)
            for x, y in corners
        ),
        fill(rectangle((-0.3, -0.24), (0.3, 0.24), 0.12)),
        fill(disc((0.16, 0), 0.1), tone=Tone.DARK),
    ]


def rocket(rng: np.random.Generator) -> list[Part]:
    """Draw a rocket above its flame."""
    flame = float(rng.uniform(0.85, 1.1))
    return [
        fill(
            rounded((-0.2, 0.5), (0.2, 0.5), (0.12, 0.8), (0, flame + 0.12), (-0.12, 0.8)),
            tone=Tone.LIGHT,
        ),
        fill(polygon((-0.3, 0.1), (-0.68, 0.52), (-0.68, 0.78), (-0.26, 0.56))),
        fill(polygon((0.3, 0.1), (0.68, 0.52), (0.68, 0.78), (0.26, 0.56))),
        fill(
            rounded(
                (0, -1.2), (0.28, -0.7), (0.42, 0.0), (0.3, 0.62), (-0.3, 0.62), (-0.42, 0.0), (-0.28, -0.7)
            )
        ),
        fill(rectangle((-0.3, 0.4), (0.3, 0.5)), tone=Tone.SHADE),
        fill(disc((0, -0.25), 0.18), tone=Tone.LIGHT),
        fill(disc((0, -0.25), 0.12), tone=Tone.GLASS),
    ]


def cup(rng: np.random.Generator) -> list[Part]:
    """Draw a mug, its handle to the right."""
    base = float(rng.uniform(0.48, 0.58))
    return [
        fill(ring_sector((0.38, 0.05), (0.32, 0.52), (-1.5, 1.5))),
        fill(polygon((-0.78, -0.75), (0.46, -0.75), (base - 0.16, 0.85), (-base - 0.16, 0.85))),
        fill(ellipse((-0.16, 0.85), (base, 0.1))),
        fill(ellipse((-0.16, -0.75), (0.62, 0.16)), tone=Tone.SHADE),
        fill(ellipse((-0.16, -0.73), (0.5, 0.1)), tone=Tone.DARK),
        fill(capsule((-0.58, -0.3), (-0.54, 0.5), 0.05), tone=Tone.TINT),
    ]


def bottle(rng: np.random.Generator) -> list[Part]:
    """Draw a bottle with a cap and a label."""
    neck, wide = float(rng.uniform(-0.62, -0.52)), float(rng.uniform(0.34, 0.42))
    return [
        fill(rectangle((-0.13, neck - 0.35), (0.13, 0.0), 0.03)),
        fill(rounded((-0.12, neck), (0.12, neck), (wide, -0.12), (wide, 0.4), (-wide, 0.4), (-wide, -0.12))),
        fill(rectangle((-wide, 0.0), (wide, 1.03), 0.12)),
        fill(rectangle((-0.17, neck - 0.46), (0.17, neck - 0.26), 0.04), tone=Tone.DARK),
        fill(rectangle((-wide + 0.02, 0.28), (wide - 0.02, 0.68)), tone=Tone.LIGHT),
        fill(rectangle((-0.2, 0.42), (0.2, 0.5)), tone=Tone.SHADE),
        fill(capsule((-wide + 0.1, -0.02), (-wide + 0.1, 0.2), 0.035), tone=Tone.TINT),
    ]


def chair(rng: np.random.Generator) -> list[Part]:
    """Draw a chair, from the side, its back to the left."""
    back = float(rng.uniform(-0.1, 0.02))
    return [
        fill(capsule((0.3, 0.15), (0.36, 0.95), 0.09, 0.07), tone=Tone.SHADE),
        fill(capsule((-0.34, 0.15), (-0.42, 0.95), 0.09, 0.07), tone=Tone.SHADE),
        fill(polygon((-0.62 + back, -1.0), (-0.38 + back, -1.0), (-0.3, 0.2), (-0.56, 0.2))),
        fill(capsule((0.56, 0.14), (0.62, 0.95), 0.1, 0.08)),
        fill(capsule((-0.44, 0.14), (-0.58, 0.95), 0.1, 0.08)),
        fill(rectangle((-0.58, 0.02), (0.7, 0.3), 0.08)),
        fill(rectangle((-0.42, 0.02), (0.68, 0.09)), tone=Tone.TINT),
    ]


def house(rng: np.random.Generator) -> list[Part]:
    """Draw a house: walls and roof of the object's colour, a door, windows and a chimney."""
    eave = float(rng.uniform(-0.2, -0.08))
    return [
        fill(rectangle((0.36, -0.92), (0.6, -0.3)), tone=Tone.SHADE),
        fill(rectangle((-0.72, eave), (0.72, 0.92))),
        fill(polygon((0, -1.0), (1.05, eave + 0.04), (-1.05, eave + 0.04))),
        fill(
            polygon((-1.05, eave + 0.04), (1.05, eave + 0.04), (0.95, eave - 0.06), (-0.95, eave - 0.06)),
            tone=Tone.SHADE,
        ),
        fill(rectangle((-0.18, 0.3), (0.18, 0.92)), tone=Tone.DARK),
        *(fill(rectangle((x - 0.15, 0.1), (x + 0.15, 0.42)), tone=Tone.GLASS) for x in (-0.45, 0.45)),
        *(fill(rectangle((x - 0.015, 0.1), (x + 0.015, 0.42)), tone=Tone.DARK) for x in (-0.45, 0.45)),
    ]


def key(rng: np.random.Generator) -> list[Part]:
    """Draw a key, its bow to the left, two teeth below."""
    tooth = float(rng.uniform(0.38, 0.52))
    return [
        fill(disc((-0.6, 0), 0.44), disc((-0.66, 0), 0.2)),
        fill(rectangle((-0.25, -0.12), (1.05, 0.12), 0.05)),
        fill(rectangle((0.52, 0.0), (0.68, tooth))),
        fill(rectangle((0.84, 0.0), (1.02, tooth + 0.06))),
        fill(capsule((-0.1, 0.0), (0.9, 0.0), 0.025), tone=Tone.SHADE),
    ]


def umbrella(rng: np.random.Generator) -> list[Part]:
    """Draw an open umbrella with a hooked handle."""
    hook = float(rng.uniform(0.7, 0.8))
    dome = ring_sector((0, 0.05), (0.0, 1.0), (math.pi, 2 * math.pi))
    return [
        fill(rectangle((-0.045, -1.05), (0.045, hook)), tone=Tone.WOOD),
        fill(ring_sector((0.16, hook), (0.12, 0.21), (0.0, math.pi)), tone=Tone.WOOD),
        fill(dome),
        *(fill(ellipse((x, 0.05), (0.25, 0.11)), tone=Tone.DARK) for x in (-0.75, -0.25, 0.25, 0.75)),
        *(fill(capsule((0, -0.92), (x, -0.06), 0.022), tone=Tone.SHADE) for x in (-0.5, 0.0, 0.5)),
    ]


def box(rng: np.random.Generator) -> list[Part]:
    """Draw an open carton: front, side and two flaps."""
    deep = float(rng.uniform(0.3, 0.42))
    return [
        fill(polygon((-0.85, -0.2), (0.45, -0.2), (0.45 + deep, -0.5), (-0.85 + deep, -0.5)), tone=Tone.DARK),
        fill(polygon((0.45, -0.2), (0.45 + deep, -0.5), (0.45 + deep, 0.6), (0.45, 0.92)), tone=Tone.SHADE),
        fill(rectangle((-0.85, -0.2), (0.45, 0.92))),
        fill(polygon((-0.85, -0.2), (-1.1, -0.62), (-1.1 + deep, -0.92), (-0.85 + deep, -0.5))),
        fill(polygon((0.45 + deep, -0.5), (0.45, -0.2), (0.74, -0.5), (0.74 + deep, -0.85)), tone=Tone.TINT),
        fill(rectangle((-0.29, -0.2), (-0.11, 0.92)), tone=Tone.TINT),
    ]


def lamp(rng: np.random.Generator) -> list[Part]:
    """Draw a table lamp: shade and foot of the object's colour."""
    narrow = float(rng.uniform(0.3, 0.42))
    return [
        fill(rectangle((-0.06, -0.2), (0.06, 0.9)), tone=Tone.DARK),
        fill(polygon((-narrow, -1.0), (narrow, -1.0), (0.78, 0.02), (-0.78, 0.02))),
        fill(ellipse((0, 0.92), (0.5, 0.13))),
        fill(polygon((-0.76, -0.04), (0.76, -0.04), (0.78, 0.02), (-0.78, 0.02)), tone=Tone.SHADE),
        fill(capsule((0.3, 0.05), (0.3, 0.3), 0.02), tone=Tone.DARK),
    ]
