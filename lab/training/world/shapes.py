"""Geometric shapes: one part each, of the object's colour; see `parts` for unit space."""

from __future__ import annotations

import math

import numpy as np

from lab.training.world.parts import Part, disc, fill, polygon, rectangle


def circle(_: np.random.Generator) -> list[Part]:
    """Draw a disc."""
    return [fill(disc((0, 0), 1.0))]


def square(_: np.random.Generator) -> list[Part]:
    """Draw a square."""
    return [fill(rectangle((-0.9, -0.9), (0.9, 0.9)))]


def triangle(_: np.random.Generator) -> list[Part]:
    """Draw a triangle, point up."""
    return [fill(1.12 * polygon((0, -1), (0.95, 0.75), (-0.95, 0.75)))]


def star(_: np.random.Generator) -> list[Part]:
    """Draw a star of five points."""
    spikes = np.arange(10) * math.pi / 5 - math.pi / 2
    radius = np.where(np.arange(10) % 2 == 0, 1.15, 0.5)
    return [fill(np.stack([radius * np.cos(spikes), radius * np.sin(spikes)], axis=1))]


def ring(_: np.random.Generator) -> list[Part]:
    """Draw a disc with a hole."""
    return [fill(disc((0, 0), 1.0), disc((0, 0), 0.52))]


def heart(_: np.random.Generator) -> list[Part]:
    """Draw a heart."""
    turn = np.linspace(0, 2 * math.pi, 60, endpoint=False)
    x = 16 * np.sin(turn) ** 3
    y = 13 * np.cos(turn) - 5 * np.cos(2 * turn) - 2 * np.cos(3 * turn) - np.cos(4 * turn)
    return [fill(np.stack([x / 16, -(y + 2.5) / 14.5], axis=1))]


def cross(rng: np.random.Generator) -> list[Part]:
    """Draw two bars of equal length."""
    w = float(rng.uniform(0.26, 0.36))
    corners = ((-w, -1), (w, -1), (w, -w), (1, -w), (1, w), (w, w))
    mirrored = tuple((-x, -y) for x, y in corners)
    return [fill(polygon(*corners, *mirrored))]


def moon(rng: np.random.Generator) -> list[Part]:
    """Draw a crescent, open to the right."""
    bite = float(rng.uniform(0.42, 0.58))
    outer = np.linspace(0.22 * math.pi, 1.78 * math.pi, 40)
    tip = np.array([math.cos(outer[0]), math.sin(outer[0])])
    radius = math.hypot(tip[0] - bite, tip[1])
    reach = math.atan2(tip[1], tip[0] - bite)
    inner = np.linspace(2 * math.pi - reach, reach, 30)
    back = np.stack([bite + radius * np.cos(inner), radius * np.sin(inner)], axis=1)
    crescent = np.concatenate([np.stack([np.cos(outer), np.sin(outer)], axis=1), back])
    return [fill(crescent + np.array([0.15, 0.0]))]


def arrow(_: np.random.Generator) -> list[Part]:
    """Draw an arrow to the right."""
    return [
        fill(
            polygon((-1, -0.28), (0.15, -0.28), (0.15, -0.75), (1, 0), (0.15, 0.75), (0.15, 0.28), (-1, 0.28))
        )
    ]
