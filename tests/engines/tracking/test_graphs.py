"""The graphs compared with transformers' modules, on random weights of nano's shape."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from transformers import Sam2VideoModel
from transformers.models.sam2_video.modeling_sam2_video import Sam2VideoInferenceSession

from engines.tracking.graphs import NO_OBJ_LOGIT, EncodeMemory, MaskPrompt, PointPrompt, TrackStep
from engines.tracking.hiera import HieraImageEncoder
from engines.tracking.mask_decoder import BestOfMultimask
from engines.tracking.shape import POINTS
from lab.training.initial_weights import initial_tracker
from lab.training.nano_config import tracker_config
from lab.training.trainable_tracker import TrainableTracker
from lab.training.world.scenes import draw_clip
from tests.fresh_sam import random_bank


@pytest.fixture(scope="module")
def model() -> Iterator[Sam2VideoModel]:
    torch.set_num_threads(1)
    with torch.inference_mode():
        yield initial_tracker(3).eval()


@pytest.fixture(scope="module")
def levels(model: Sam2VideoModel) -> tuple[torch.Tensor, ...]:
    return HieraImageEncoder(model)(torch.from_numpy(draw_clip(5, frames=1).frames))


def test_the_content_of_an_empty_memory_slot_has_no_effect(
    model: Sam2VideoModel, levels: tuple[torch.Tensor, ...]
) -> None:
    step, bank = TrackStep(model), random_bank(2)
    before = step(*levels, *bank)
    bank[0], bank[3] = bank[0].clone(), bank[3].clone()
    bank[0][:, 3], bank[3][:, 3:] = 7.0, -7.0
    for one, other in zip(before, step(*levels, *bank), strict=True):
        assert torch.equal(one, other)


def test_a_batch_of_two_objects_equals_two_single_calls(
    model: Sam2VideoModel, levels: tuple[torch.Tensor, ...]
) -> None:
    step, bank = TrackStep(model), random_bank(2)
    together = step(*levels, *bank)
    for row in range(2):
        alone = step(*levels, *(array[row : row + 1] for array in bank))
        for one, other in zip(together, alone, strict=True):
            torch.testing.assert_close(one[row : row + 1], other, atol=2e-5, rtol=1e-5)


def test_images_in_one_batch_are_used_by_their_own_objects_only(model: Sam2VideoModel) -> None:
    """Training runs several clips in one batch: the objects of a clip share its image."""
    step, encode, bank = TrackStep(model), HieraImageEncoder(model), random_bank(4)
    both = encode(torch.from_numpy(draw_clip(6, frames=2, stride=9).frames))
    together = step(*both, *bank)
    for image in range(2):
        own = slice(2 * image, 2 * image + 2)
        alone = step(*(level[image : image + 1] for level in both), *(array[own] for array in bank))
        for one, other in zip(together, alone, strict=True):
            torch.testing.assert_close(one[own], other, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("seed", [5, 9])
def test_streamed_masks_equal_those_of_transformers_session(model: Sam2VideoModel, seed: int) -> None:
    """As long as all memories fit. Memories are bfloat16 there and float32 here: hence the tolerance."""
    clip = draw_clip(seed, frames=5, stride=3)
    frames, mask = torch.from_numpy(clip.frames), torch.from_numpy(clip.masks[0, :1]).float()
    tracker = TrainableTracker(model)
    ours = tracker.track_clips(frames[None], {0: mask})
    session = Sam2VideoInferenceSession(None, 256, 256, dtype=torch.float32)
    session.add_mask_inputs(session.obj_id_to_idx(1), 0, mask[None])
    session.obj_with_new_inputs = [1]
    pixels = tracker.encode.normalised(frames)
    theirs = [model(session, frame=one) for one in pixels][1:]
    for (logits, _, score), other in zip(ours, theirs, strict=True):
        assert abs(float(score) - float(other.object_score_logits)) < 5e-3
        if float(score) > 0:
            torch.testing.assert_close(logits, other.pred_masks[:, 0], atol=2e-2, rtol=0)
        else:
            assert (other.pred_masks == NO_OBJ_LOGIT).all()


def test_the_memory_of_an_absent_object_is_empty_plus_the_no_object_embedding(
    model: Sam2VideoModel, levels: tuple[torch.Tensor, ...]
) -> None:
    """SAM 2.1; the decoded logits have no effect."""
    remember = EncodeMemory(model)
    unprompted, absent = torch.zeros(2, dtype=torch.bool), torch.full((2,), -1.0)
    (memory,) = remember(levels[0], torch.randn(2, 64, 64), absent, unprompted)
    assert torch.equal(memory[0], memory[1])
    (empty,) = remember(levels[0], torch.full((2, 64, 64), -1024.0), -absent, unprompted)
    embedding = model.occlusion_spatial_embedding_parameter
    torch.testing.assert_close(memory - empty, embedding.expand_as(memory), atol=1e-6, rtol=1e-4)


def test_the_memory_of_a_prompted_mask_is_encoded_from_a_binary_mask(
    model: Sam2VideoModel, levels: tuple[torch.Tensor, ...]
) -> None:
    remember = EncodeMemory(model)
    faint = torch.where(torch.arange(64) < 20, 0.1, -0.1).expand(1, 64, 64)
    present, prompted = torch.ones(1), torch.tensor([True])
    (hard,), (soft,) = (remember(levels[0], faint, present, flag) for flag in (prompted, ~prompted))
    (sure,) = remember(levels[0], 1000 * faint, present, ~prompted)
    torch.testing.assert_close(hard, sure, atol=1e-5, rtol=0)
    assert (hard - soft).abs().max() > 0.1


def points_of(*clicks: list[tuple[float, float, int]]) -> tuple[torch.Tensor, torch.Tensor]:
    points, labels = torch.zeros(len(clicks), POINTS, 2), torch.full((len(clicks), POINTS), -1)
    for row, click in enumerate(clicks):
        for slot, (x, y, label) in enumerate(click):
            points[row, slot], labels[row, slot] = torch.tensor([x, y]), label
    return points, labels


def test_the_content_of_an_empty_point_slot_has_no_effect(
    model: Sam2VideoModel, levels: tuple[torch.Tensor, ...]
) -> None:
    prompt = PointPrompt(model)
    points, labels = points_of([(40.0, 60.0, 1), (90.0, 60.0, 0)])
    before = prompt(*levels, points, labels)
    points[:, 2:] = 77.0
    assert all(
        torch.equal(one, other) for one, other in zip(before, prompt(*levels, points, labels), strict=True)
    )


def test_clicks_in_one_batch_do_not_affect_each_other(
    model: Sam2VideoModel, levels: tuple[torch.Tensor, ...]
) -> None:
    prompt = PointPrompt(model)
    clicks = [[(40.0, 60.0, 1)], [(20.0, 20.0, 2), (90.0, 80.0, 3), (50.0, 50.0, 0)]]
    together = prompt(*levels, *points_of(*clicks))
    for row, click in enumerate(clicks):
        for one, other in zip(together, prompt(*levels, *points_of(click)), strict=True):
            torch.testing.assert_close(one[row : row + 1], other, atol=2e-5, rtol=1e-5)


def test_an_empty_mask_prompt_gives_the_no_object_pointer(
    model: Sam2VideoModel, levels: tuple[torch.Tensor, ...]
) -> None:
    obj_ptr, _ = MaskPrompt(model)(*levels, torch.zeros(1, 256, 256))
    assert torch.equal(obj_ptr, model.no_object_pointer)


def test_a_model_with_multimask_output_uses_the_best_of_three(levels: tuple[torch.Tensor, ...]) -> None:
    config = tracker_config()
    config.multimask_output_in_sam = config.multimask_output_for_tracking = True
    torch.manual_seed(0)
    with torch.inference_mode():
        step = TrackStep(Sam2VideoModel(config).eval())
        logits, iou, *_ = step(*levels, *random_bank(3))
        assert (
            isinstance(step.selection, BestOfMultimask) and logits.shape == (3, 64, 64) and iou.shape == (3,)
        )
