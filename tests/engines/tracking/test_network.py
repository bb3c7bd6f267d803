"""A stream's runners: prompts as the graphs take them, and what is no number told apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engines.tracking.memory_policy import AS_SAM2, PRODUCT
from engines.tracking.network import GIVEN_LOGIT, SamNetwork, finite_rows, fits
from engines.tracking.shape import POINTS
from streaming.vocabulary import Click, QueryId, StreamId
from tests.colour_sam import SIDE, ColourSam

BOX = (0.25, 0.5, 0.75, 1.0)


def click(*points: tuple[float, float, bool], box: tuple[float, float, float, float] | None = None) -> Click:
    places = np.array([point[:2] for point in points], np.float32).reshape(-1, 2)
    marks = np.array([point[2] for point in points], np.bool_)
    return Click(StreamId("s"), QueryId("q"), 1, 0, places, marks, box)


class Listening(ColourSam):
    """Keeps what the prompts were."""

    def _point(self, features: np.ndarray, *rest: np.ndarray) -> tuple[np.ndarray, ...]:
        self.points, self.labels = rest[-2:]
        return super()._point(features, *rest)

    def _remember(self, features: np.ndarray, logits: np.ndarray, *rest: np.ndarray) -> tuple[np.ndarray]:
        self.logits, (self.score, self.prompted) = logits, rest
        return super()._remember(features, logits, *rest)


def test_a_box_is_two_points_before_the_others_in_pixels_of_the_models_picture() -> None:
    sam = Listening()
    network = SamNetwork(sam.compiled(), PRODUCT)
    network.clicked(network.encode(np.zeros((SIDE, SIDE, 3), np.uint8)), click((0.5, 0.75, False), box=BOX))
    assert sam.labels.tolist() == [[2, 3, 0] + [-1] * (POINTS - 3)]
    assert sam.points[0, :3].tolist() == [[8, 16], [24, 32], [16, 24]]
    assert sam.prompted.tolist() == [True], "a click is remembered with a hard edge"


def test_by_sam2s_rules_a_given_mask_is_remembered_as_if_it_had_been_decoded() -> None:
    sam = Listening()
    mask = np.full((SIDE, SIDE), -5.0, np.float32)
    mask[:16] = 5.0
    for policy, calls in ((PRODUCT, 0), (AS_SAM2, 1)):
        network = SamNetwork(sam.compiled(), policy)
        levels = network.encode(np.zeros((SIDE, SIDE, 3), np.uint8))
        assert network.given(levels, [mask])[0] is not None
        assert sam.calls["remember"] == calls
    assert sam.logits.shape == (1, SIDE // 4, SIDE // 4) and sam.score.tolist() == [GIVEN_LOGIT]
    assert sam.logits[0, 0, 0] == GIVEN_LOGIT and sam.logits[0, -1, 0] == -GIVEN_LOGIT


def test_a_memory_that_is_no_number_is_none() -> None:
    sam = ColourSam()
    network = SamNetwork(sam.compiled(), PRODUCT)
    sam.broken = True
    levels = network.encode(np.ones((SIDE, SIDE, 3), np.uint8))
    assert network.given(levels, [np.ones((8, 8), np.float32)]) == [None]
    assert network.clicked(levels, click((0.5, 0.5, True)))[1] is None


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        (click(), False),
        (click(box=BOX), True),
        (click(*[(0.5, 0.5, True)] * POINTS), True),
        (click(*[(0.5, 0.5, True)] * (POINTS - 1), box=BOX), False),
        (click((np.nan, 0.5, True)), False),
        (replace(click((0.5, 0.5, True)), on_object=np.ones(2, np.bool_)), False),
    ],
)
def test_a_click_has_as_many_points_as_the_graph_takes(wrong: Click, right: bool) -> None:
    assert fits(wrong) is right


def test_one_infinity_spoils_its_row_alone() -> None:
    rows = np.zeros((3, 5), np.float32)
    rows[1, 2] = np.inf
    assert finite_rows(rows, np.zeros(3)).tolist() == [True, False, True]
