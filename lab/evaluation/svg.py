"""Shapes of SVG pictures, as text: what plots are drawn with."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Final

COLOURS: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#5f5f5f", "#a65628")
"Okabe and Ito's, which the colour-blind can tell apart, and two more."

Place = tuple[float, float]
"x and y in pixels, from the upper left."


def picture(width: int, height: int, shapes: Iterable[str]) -> str:
    """A whole SVG file: shapes, the first at the back, on white."""
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
    style = 'font-family="sans-serif" font-size="11" fill="#333">'
    ground = f'<rect width="{width}" height="{height}" fill="white"/>'
    return "\n".join([head + style, ground, *shapes, "</svg>", ""])


def line(start: Place, end: Place, colour: str, dash: str = "none") -> str:
    """A straight one; `dash` as SVG's stroke-dasharray."""
    ends = f'x1="{start[0]:.1f}" y1="{start[1]:.1f}" x2="{end[0]:.1f}" y2="{end[1]:.1f}"'
    return f'<line {ends} stroke="{colour}" stroke-dasharray="{dash}"/>'


def curve(places: Iterable[Place], colour: str) -> str:
    """A line through places; a lone one is a dot."""
    pairs = [f"{x:.1f},{y:.1f}" for x, y in places]
    if len(pairs) == 1:
        x, y = pairs[0].split(",")
        return f'<circle cx="{x}" cy="{y}" r="2.5" fill="{colour}"/>'
    path = " ".join(pairs)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>'


def bar(place: Place, width: float, height: float, colour: str) -> str:
    """A filled rectangle, `place` its upper left corner."""
    corner = f'x="{place[0]:.1f}" y="{place[1]:.1f}"'
    return f'<rect {corner} width="{width:.1f}" height="{height}" fill="{colour}"/>'


def text(x: float, y: float, words: str, anchor: str = "start", size: int = 11) -> str:
    """Words whose foot is at a place; `anchor` as SVG's text-anchor."""
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}"'
    return f"<text {place}>{escape(words)}</text>"
