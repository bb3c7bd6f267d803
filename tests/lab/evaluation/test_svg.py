"""Shapes of SVG pictures: well-formed, where they should be, words kept apart from marks."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

from lab.evaluation import svg


def test_a_picture_is_one_well_formed_file_with_its_ground_at_the_back() -> None:
    root = ElementTree.fromstring(svg.picture(30, 20, [svg.text(1, 2, "a < b & c")]))
    ground, words = root
    assert (root.attrib["width"], root.attrib["height"]) == ("30", "20")
    assert (ground.attrib["fill"], words.text) == ("white", "a < b & c")


def test_a_curve_goes_through_its_places_and_a_lone_place_is_a_dot() -> None:
    line = ElementTree.fromstring(svg.curve([(0, 1), (2.25, 3)], "red"))
    dot = ElementTree.fromstring(svg.curve([(2.25, 3)], "red"))
    assert (line.tag, line.attrib["points"]) == ("polyline", "0.0,1.0 2.2,3.0")
    assert (dot.tag, dot.attrib["cx"], dot.attrib["cy"]) == ("circle", "2.2", "3.0")


def test_a_line_has_two_ends() -> None:
    line = ElementTree.fromstring(svg.line((1, 2), (3, 4), "#888", dash="6 4"))
    assert [line.attrib[end] for end in ("x1", "y1", "x2", "y2")] == ["1.0", "2.0", "3.0", "4.0"]
    assert line.attrib["stroke-dasharray"] == "6 4"
