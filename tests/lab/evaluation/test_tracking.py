"""Scores of tracks on drawn clips."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from engines.tracking.memory_policy import PRODUCT
from lab.evaluation.tracking import TrackingScore, _Sums, score_tracking
from lab.training.world.holdout import Split
from lab.training.world.scenes import draw_clip
from tests.colour_sam import ColourSam


def score_of(truth: np.ndarray, tracked: list[np.ndarray | None]) -> dict[str, float]:
    sums = _Sums()
    sums.add(truth, tracked)
    names = ("j_and_f", "j_and_f_copy", "j", "j_copy", "found", "silent")
    return {name: getattr(sums, name).value for name in names}


def blink(*present: bool) -> np.ndarray:
    masks = np.zeros((len(present), 8, 8), np.bool_)
    for index, seen in enumerate(present):
        masks[index, 2:6, 2:6] = seen
    return masks


def test_exact_masks_score_one() -> None:
    truth = blink(True, True, False, False, False, True, True)
    found = score_of(truth, [mask if mask.any() else None for mask in truth[1:]])
    assert found == {
        "j_and_f": 1.0,
        "j_and_f_copy": 0.5,
        "j": 1.0,
        "j_copy": 1.0,
        "found": 1.0,
        "silent": 1.0,
    }


def test_a_mask_without_object_and_an_object_without_mask_both_score_zero() -> None:
    truth = blink(True, True, False, False, False, True)
    found = score_of(truth, [None, truth[0], truth[0], truth[0], None])
    assert (found["j_and_f"], found["j"], found["silent"], found["found"]) == (0.0, 0.0, 0.0, 0.0)


def test_without_object_an_empty_mask_is_right() -> None:
    truth = blink(True, True, False, False, False, True)
    assert score_of(truth, [None] * 5)["j_and_f"] == 3 / 5


def test_an_object_found_after_the_limit_is_not_found_again() -> None:
    truth = blink(True, False, False, False, *[True] * 12)
    found_on = {back: [None] * (back - 1) + list(truth[back:]) for back in (13, 14)}
    assert score_of(truth, found_on[13])["found"] == 1.0
    assert score_of(truth, found_on[14])["found"] == 0.0


def test_without_absences_their_shares_are_nan() -> None:
    truth = blink(True, True, True)
    found = score_of(truth, list(truth[1:]))
    assert math.isnan(found["silent"]) and math.isnan(found["found"])


def test_a_colour_tracker_scores_above_the_copied_mask() -> None:
    first = Split.UNSEEN.first_seed
    clips = [draw_clip(seed, frames=8, stride=6.0) for seed in range(first, first + 3)]
    # A tracker by colour cannot separate objects of the same colour.
    score = score_tracking(ColourSam().compiled(), clips, replace(PRODUCT, non_overlap_min_share=0.0))
    assert isinstance(score, TrackingScore) and score.clips == 3 and score.objects >= 3
    assert score.j > score.j_copy > 0 and score.j_and_f > score.j_and_f_copy > 0


def test_a_clip_without_clearly_visible_objects_is_counted() -> None:
    clip = draw_clip(Split.UNSEEN.first_seed, frames=3)
    clip.masks[:] = False
    score = score_tracking(ColourSam().compiled(), [clip])
    assert (score.clips, score.objects) == (1, 0) and math.isnan(score.j_and_f)
