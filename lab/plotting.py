"""The common style of the project's plots, drawn by matplotlib and stored as SVG.

Equal data give an equal file: no date is stored and element ids are hashed with a fixed salt, so a committed
plot changes only when its data or matplotlib's release change. Words stay text elements, which makes files
small and searchable. pyplot is not used: it keeps global state and wants a display.

matplotlib is the optional extra `plots`; it is imported when a plot is drawn, not with this module.

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        axes.plot(times_s, losses, color=COLOURS[0])

    path.write_text(render_svg(draw, width_px=640, height_px=280))
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from io import StringIO
from typing import TYPE_CHECKING, Any, Final

from streaming.errors import BackendUnavailable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#5f5f5f", "#a65628")
"Okabe and Ito's palette, which people with colour vision deficiencies can tell apart, and two more colours."
_DPI: Final = 72
"SVG counts 72 points to an inch: a pixel here is a point there."
_STYLE: Final[Any] = {
    "svg.hashsalt": "saccade",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.titlelocation": "left",
    "axes.edgecolor": "#888888",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": "#e5e5e5",
    "legend.frameon": False,
    "lines.linewidth": 1.5,
}


def render_svg(draw: Callable[[Figure], None], *, width_px: float, height_px: float) -> str:
    """Call `draw` with an empty figure in the project's style; return the SVG file's text.

    The layout is "constrained": axes leave room for labels and for legends outside of them. Raises
    BackendUnavailable where matplotlib is not installed.
    """
    require_matplotlib()
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(_STYLE), StringIO() as file:
        figure = Figure(figsize=(width_px / _DPI, height_px / _DPI), dpi=_DPI, layout="constrained")
        draw(figure)
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
        return file.getvalue()


def require_matplotlib() -> None:
    """Raise BackendUnavailable where matplotlib is not installed: call it before hours of work."""
    if find_spec("matplotlib") is None:
        raise BackendUnavailable("Plots need matplotlib.", remedy="Install saccade[plots].")
