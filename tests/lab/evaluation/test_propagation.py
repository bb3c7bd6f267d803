"""Propagation of a clip's first masks."""

from __future__ import annotations

import numpy as np

from engines.geometry import mask_iou
from engines.tracking.tracker import SamTracker
from lab.evaluation.propagation import MASK_PX, answer_from_masks, propagate
from lab.training.world.levels import CURRICULUM
from lab.training.world.scenes import draw_clip
from tests.colour_sam import ColourSam
from tests.doubles import square_image


def test_answers_have_the_masks_at_a_grounders_size() -> None:
    masks = draw_clip(3, frames=1, level=CURRICULUM[0]).masks[0, :2]
    answer = answer_from_masks(masks)
    assert answer.logits.shape == (2, MASK_PX, MASK_PX) and len(answer.prompts) == 2
    area = (answer.logits > 0).mean(axis=(1, 2))
    np.testing.assert_allclose(area, masks.mean(axis=(1, 2)), atol=0.01)


def test_a_moving_object_is_tracked_from_its_first_mask() -> None:
    frames = [square_image((x, 24)) for x in (20, 24, 28)]
    red = [frame[:, :, 0] > 150 for frame in frames]
    tracked = list(propagate(SamTracker(ColourSam().compiled()), frames, np.stack(red[:1])))
    assert len(tracked) == 2
    for (mask,), true in zip(tracked, red[1:], strict=True):
        assert mask is not None and mask_iou(mask, true) > 0.6


def test_a_lost_object_has_no_mask_and_others_keep_their_index() -> None:
    visible, empty = square_image((20, 24)), np.full_like(square_image((20, 24)), 60)
    red = visible[:, :, 0] > 150
    background = ~red
    (only,) = propagate(SamTracker(ColourSam().compiled()), [visible, empty], np.stack([red, background]))
    assert only[0] is None and len(only) == 2


def test_frames_are_read_one_at_a_time() -> None:
    taken = []

    def read() -> object:
        for index in range(3):
            taken.append(index)
            yield square_image((20 + index, 24))

    mask = square_image((20, 24))[:, :, 0] > 150
    next(propagate(SamTracker(ColourSam().compiled()), read(), mask[None]))
    assert taken == [0, 1]
