"""The runners of a stream: prompts in the form of the graphs' inputs, and detection of non-finite rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engines.tracking.memory_policy import AS_SAM2, PRODUCT
from engines.tracking.network import MASK_LOGIT, TrackerRunners, finite_rows, is_valid_click
from engines.tracking.shape import POINTS
from streaming.vocabulary import Click, QueryId, StreamId
from tests.colour_sam import SIDE, ColourSam

BOX = (0.25, 0.5, 0.75, 1.0)


def click(*points: tuple[float, float, bool], box: tuple[float, float, float, float] | None = None) -> Click:
    places = np.array([point[:2] for point in points], np.float32).reshape(-1, 2)
    marks = np.array([point[2] for point in points], np.bool_)
    return Click(StreamId("s"), QueryId("q"), 1, 0, places, marks, box)


class RecordingSam(ColourSam):
    """Stores the inputs of its last prompts."""

    def _point(self, features: np.ndarray, *rest: np.ndarray) -> tuple[np.ndarray, ...]:
        self.points, self.labels = rest[-2:]
        return super()._point(features, *rest)

    def _remember(self, features: np.ndarray, logits: np.ndarray, *rest: np.ndarray) -> tuple[np.ndarray]:
        self.logits, (self.object_score, self.prompted) = logits, rest
        return super()._remember(features, logits, *rest)


def test_a_box_becomes_two_points_before_the_others_in_pixels_of_the_input_image() -> None:
    sam = RecordingSam()
    runners = TrackerRunners(sam.compiled(), PRODUCT)
    runners.decode_click(
        runners.encode_image(np.zeros((SIDE, SIDE, 3), np.uint8)), click((0.5, 0.75, False), box=BOX)
    )
    assert sam.labels.tolist() == [[2, 3, 0] + [-1] * (POINTS - 3)]
    assert sam.points[0, :3].tolist() == [[8, 16], [24, 32], [16, 24]]
    assert sam.prompted.tolist() == [True], "the memory of a click is encoded from a binary mask"


def test_under_sam2s_policy_a_mask_prompt_is_remembered_as_decoder_output() -> None:
    sam = RecordingSam()
    mask = np.full((SIDE, SIDE), -5.0, np.float32)
    mask[:16] = 5.0
    for policy, calls in ((PRODUCT, 0), (AS_SAM2, 1)):
        runners = TrackerRunners(sam.compiled(), policy)
        levels = runners.encode_image(np.zeros((SIDE, SIDE, 3), np.uint8))
        assert runners.encode_mask_prompts(levels, [mask])[0] is not None
        assert sam.calls["remember"] == calls
    assert sam.logits.shape == (1, SIDE // 4, SIDE // 4) and sam.object_score.tolist() == [MASK_LOGIT]
    assert sam.logits[0, 0, 0] == MASK_LOGIT and sam.logits[0, -1, 0] == -MASK_LOGIT


def test_a_memory_that_is_not_finite_is_none() -> None:
    sam = ColourSam()
    runners = TrackerRunners(sam.compiled(), PRODUCT)
    sam.broken = True
    levels = runners.encode_image(np.ones((SIDE, SIDE, 3), np.uint8))
    assert runners.encode_mask_prompts(levels, [np.ones((8, 8), np.float32)]) == [None]
    assert runners.decode_click(levels, click((0.5, 0.5, True)))[1] is None


@pytest.mark.parametrize(
    ("candidate", "valid"),
    [
        (click(), False),
        (click(box=BOX), True),
        (click(*[(0.5, 0.5, True)] * POINTS), True),
        (click(*[(0.5, 0.5, True)] * (POINTS - 1), box=BOX), False),
        (click((np.nan, 0.5, True)), False),
        (replace(click((0.5, 0.5, True)), on_object=np.ones(2, np.bool_)), False),
    ],
)
def test_a_valid_click_has_one_to_eight_finite_points(candidate: Click, valid: bool) -> None:
    assert is_valid_click(candidate) is valid


def test_an_infinite_value_marks_only_its_own_row() -> None:
    rows = np.zeros((3, 5), np.float32)
    rows[1, 2] = np.inf
    assert finite_rows(rows, np.zeros(3)).tolist() == [True, False, True]
