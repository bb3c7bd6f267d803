"""Laws of plots: equal data give equal files, words are text, no matplotlib gives an error with a remedy."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest
from matplotlib.figure import Figure

from lab.plotting import COLOURS, render_svg, require_matplotlib
from streaming.errors import BackendUnavailable


def draw(figure: Figure) -> None:
    left, right = figure.subplots(1, 2)
    left.plot([0, 1], [1, 2], color=COLOURS[0], label="loss & score")
    right.axhline(0.5, linestyle="--")
    left.legend()


def example() -> str:
    return render_svg(draw, width_px=320, height_px=200)


def test_equal_data_give_an_equal_file() -> None:
    assert example() == example()
    assert "<dc:date>" not in example()


def test_words_are_text_elements() -> None:
    texts = ElementTree.fromstring(example()).iter("{http://www.w3.org/2000/svg}text")
    assert "loss & score" in {text.text for text in texts}


def test_the_figure_has_the_size_that_was_asked_for() -> None:
    root = ElementTree.fromstring(example())
    assert (root.attrib["width"], root.attrib["height"]) == ("320pt", "200pt")


def test_a_missing_matplotlib_is_an_error_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.plotting.find_spec", lambda name: None)
    with pytest.raises(BackendUnavailable, match=r"Install saccade\[plots\]"):
        require_matplotlib()
