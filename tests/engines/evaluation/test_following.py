"""The following score: right for a tracker that is right, and for one that is not."""

from __future__ import annotations

import numpy as np

from engines.evaluation.following import FollowingScore, _judge, given_answer, score_tracker
from engines.training.world.scenes import draw_clip
from tests.colour_sam import ColourSam


def judged(truth: np.ndarray, drawn: list[np.ndarray | None]) -> dict[str, list[float]]:
    figures: dict[str, list[float]] = {"j": [], "j_copy": [], "silent": [], "found_again": []}
    _judge(truth, drawn, figures)
    return figures


def blink(*present: bool) -> np.ndarray:
    masks = np.zeros((len(present), 8, 8), np.bool_)
    for index, seen in enumerate(present):
        masks[index, 2:6, 2:6] = seen
    return masks


def test_the_truth_scores_one_everywhere() -> None:
    truth = blink(True, True, False, False, False, True, True)
    figures = judged(truth, [mask if mask.any() else None for mask in truth[1:]])
    assert figures == {"j": [1.0] * 3, "j_copy": [1.0] * 3, "silent": [1.0] * 3, "found_again": [1.0]}


def test_a_mask_on_nothing_and_silence_on_something_both_count() -> None:
    truth = blink(True, True, False, False, False, True)
    figures = judged(truth, [None, truth[0], truth[0], truth[0], None])
    assert figures["j"] == [0.0, 0.0] and figures["silent"] == [0.0] * 3 and figures["found_again"] == [0.0]


def test_given_masks_are_the_true_ones_at_a_grounders_size() -> None:
    clip = draw_clip(3, frames=1)
    answer = given_answer(clip, [0, 1])
    assert answer.logits.shape == (2, 64, 64) and len(answer.prompts) == 2
    area = (answer.logits > 0).mean(axis=(1, 2))
    np.testing.assert_allclose(area, clip.masks[0, :2].mean(axis=(1, 2)), atol=0.01)


def test_a_tracker_that_follows_colours_beats_the_copied_mask() -> None:
    score = score_tracker(ColourSam().compiled(), clips=3, frames=8, stride=6.0)
    assert isinstance(score, FollowingScore) and score.clips == 3 and score.objects >= 3
    assert score.j > score.j_copy > 0
