"""The following score: right for a tracker that is right, and for one that is not."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from engines.tracking.memory_policy import PRODUCT
from lab.evaluation.tracking import TrackingScore, _Figures, score_tracking
from lab.training.world.holdout import Split
from lab.training.world.scenes import draw_clip
from tests.colour_sam import ColourSam


def judged(truth: np.ndarray, drawn: list[np.ndarray | None]) -> dict[str, float]:
    figures = _Figures()
    figures.judge(truth, drawn)
    names = ("whole", "whole_copy", "j", "j_copy", "again", "silent")
    return {name: getattr(figures, name).value for name in names}


def blink(*present: bool) -> np.ndarray:
    masks = np.zeros((len(present), 8, 8), np.bool_)
    for index, seen in enumerate(present):
        masks[index, 2:6, 2:6] = seen
    return masks


def test_the_truth_scores_one_everywhere() -> None:
    truth = blink(True, True, False, False, False, True, True)
    found = judged(truth, [mask if mask.any() else None for mask in truth[1:]])
    assert found == {"whole": 1.0, "whole_copy": 0.5, "j": 1.0, "j_copy": 1.0, "again": 1.0, "silent": 1.0}


def test_a_mask_on_nothing_and_silence_on_something_both_count() -> None:
    truth = blink(True, True, False, False, False, True)
    found = judged(truth, [None, truth[0], truth[0], truth[0], None])
    assert (found["whole"], found["j"], found["silent"], found["again"]) == (0.0, 0.0, 0.0, 0.0)


def test_silence_is_right_for_as_long_as_the_thing_is_away() -> None:
    truth = blink(True, True, False, False, False, True)
    assert judged(truth, [None] * 5)["whole"] == 3 / 5


def test_a_thing_that_is_found_late_is_not_found_again() -> None:
    truth = blink(True, False, False, False, *[True] * 12)
    found_on = {back: [None] * (back - 1) + list(truth[back:]) for back in (13, 14)}
    assert judged(truth, found_on[13])["again"] == 1.0
    assert judged(truth, found_on[14])["again"] == 0.0


def test_a_thing_that_is_always_there_has_no_share_of_absence() -> None:
    truth = blink(True, True, True)
    found = judged(truth, list(truth[1:]))
    assert math.isnan(found["silent"]) and math.isnan(found["again"])


def test_a_tracker_that_follows_colours_beats_the_copied_mask() -> None:
    first = Split.UNSEEN.first_seed
    clips = [draw_clip(seed, frames=8, stride=6.0) for seed in range(first, first + 3)]
    # Colours alone do not tell whose a pixel is.
    score = score_tracking(ColourSam().compiled(), clips, replace(PRODUCT, non_overlap_min_share=0.0))
    assert isinstance(score, TrackingScore) and score.clips == 3 and score.objects >= 3
    assert score.j > score.j_copy > 0 and score.j_and_f > score.j_and_f_copy > 0


def test_every_clip_counts_and_one_without_a_thing_to_give_has_no_objects() -> None:
    clip = draw_clip(Split.UNSEEN.first_seed, frames=3)
    clip.masks[:] = False
    score = score_tracking(ColourSam().compiled(), [clip])
    assert (score.clips, score.objects) == (1, 0) and math.isnan(score.j_and_f)
