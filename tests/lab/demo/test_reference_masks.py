"""The reference masks of the real clip, and the boxes that they were made from."""

from __future__ import annotations

import json

import numpy as np
import pytest

from engines.masks import decode_mask
from lab.demo.ground_truth import load_ground_truth
from lab.demo.reference_masks import BOXES, box_at, make_reference_masks
from lab.demo.scenes import BIKES_TRUTH
from lab.evaluation.box_prompts import Box
from streaming.vocabulary import Mask, Pixels
from tests.lab.demo.test_footage import needs_footage

TWO_STRETCHES = ({"10": [0, 0, 10, 10], "20": [10, 20, 30, 50]}, {"40": [1, 2, 3, 4], "41": [1, 2, 3, 4]})


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (9, None),
        (10, (0, 0, 10, 10)),
        (15, (5, 10, 20, 30)),
        (20, (10, 20, 30, 50)),
        (30, None),
        (41, (1, 2, 3, 4)),
        (42, None),
    ],
)
def test_boxes_are_interpolated_within_a_stretch_only(frame: int, expected: Box | None) -> None:
    assert box_at(TWO_STRETCHES, frame) == expected


def test_every_mask_lies_in_its_box_and_fills_a_part_of_it() -> None:
    truth = load_ground_truth(BIKES_TRUTH)
    objects = json.loads(BOXES.read_text())["objects"]
    for index, masks in enumerate(truth.masks):
        for stretches, stored in zip(objects.values(), masks, strict=True):
            mask, box = decode_mask(stored), box_at(stretches, index)
            if box is None:
                assert not mask.any()
                continue
            x0, y0, x1, y1 = (round(value) for value in box)
            inside = np.zeros_like(mask)
            inside[max(y0 - 20, 0) : y1 + 20, max(x0 - 20, 0) : x1 + 20] = True
            assert not (mask & ~inside).any()
            assert mask.sum() >= 0.1 * (x1 - x0) * (y1 - y0)


@needs_footage
def test_masks_are_asked_for_where_an_object_is_in_sight() -> None:
    def fill(frame: Pixels, box: Box) -> Mask:
        x0, y0, x1, y1 = (round(value) for value in box)
        mask = np.zeros(frame.shape[:2], bool)
        mask[y0:y1, x0:x1] = True
        return mask

    made, stored = make_reference_masks(fill, None), load_ground_truth(BIKES_TRUTH)
    assert (made.fps, made.objects, made.phrases, made.unjudged) == (
        stored.fps,
        stored.objects,
        stored.phrases,
        stored.unjudged,
    )
    assert len(made.masks) == len(stored.masks) == 250
    for new, old in zip(made.masks, stored.masks, strict=True):
        assert [decode_mask(mask).any() for mask in new] == [decode_mask(mask).any() for mask in old]
