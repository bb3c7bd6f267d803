"""Laws of carrying first masks on."""

from __future__ import annotations

import numpy as np

from engines.geometry import mask_iou
from engines.tracking.tracker import SamTracker
from lab.evaluation.propagation import GIVEN_PX, answer_from_masks, propagate
from lab.training.world.levels import CURRICULUM
from lab.training.world.scenes import draw_clip
from tests.colour_sam import ColourSam
from tests.doubles import square_image


def test_given_masks_are_the_true_ones_at_a_grounders_size() -> None:
    masks = draw_clip(3, frames=1, level=CURRICULUM[0]).masks[0, :2]
    answer = answer_from_masks(masks)
    assert answer.logits.shape == (2, GIVEN_PX, GIVEN_PX) and len(answer.prompts) == 2
    area = (answer.logits > 0).mean(axis=(1, 2))
    np.testing.assert_allclose(area, masks.mean(axis=(1, 2)), atol=0.01)


def test_what_moves_is_followed_from_its_first_mask() -> None:
    pictures = [square_image((x, 24)) for x in (20, 24, 28)]
    red = [picture[:, :, 0] > 150 for picture in pictures]
    drawn = list(propagate(SamTracker(ColourSam().compiled()), pictures, np.stack(red[:1])))
    assert len(drawn) == 2
    for (mask,), true in zip(drawn, red[1:], strict=True):
        assert mask is not None and mask_iou(mask, true) > 0.6


def test_what_is_gone_has_no_mask_and_others_keep_their_place() -> None:
    here, gone = square_image((20, 24)), np.full_like(square_image((20, 24)), 60)
    red = here[:, :, 0] > 150
    ground = ~red
    (only,) = propagate(SamTracker(ColourSam().compiled()), [here, gone], np.stack([red, ground]))
    assert only[0] is None and len(only) == 2


def test_pictures_are_taken_one_at_a_time() -> None:
    taken = []

    def film() -> object:
        for index in range(3):
            taken.append(index)
            yield square_image((20 + index, 24))

    mask = square_image((20, 24))[:, :, 0] > 150
    next(propagate(SamTracker(ColourSam().compiled()), film(), mask[None]))
    assert taken == [0, 1]
