"""The graphs against transformers' own modules, on random weights of nano's shape."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from transformers import Sam2VideoModel
from transformers.models.sam2_video.modeling_sam2_video import Sam2VideoInferenceSession

from engines.tracking.compiled import EMPTY_SLOT
from engines.tracking.graphs import NO_OBJECT, ImageEncoder, MaskPrompt, TrackStep
from engines.training.follower import TrainedTracker
from engines.training.nano import tracker_config
from engines.training.tracker_recipe import fresh_tracker
from engines.training.world.scenes import draw_clip

SLOTS, POINTERS = 4, 8


@pytest.fixture(scope="module")
def model() -> Iterator[Sam2VideoModel]:
    torch.set_num_threads(1)
    with torch.inference_mode():
        yield fresh_tracker(3).eval()


@pytest.fixture(scope="module")
def levels(model: Sam2VideoModel) -> tuple[torch.Tensor, ...]:
    return ImageEncoder(model)(torch.from_numpy(draw_clip(5, frames=1).frames))


def random_bank(objects: int, seed: int = 0) -> list[torch.Tensor]:
    """Two given and one recent memory, three pointers; the rest of the slots is empty but full of noise."""
    generator = torch.Generator().manual_seed(seed)
    memory = torch.randn(objects, SLOTS, 256, 64, generator=generator)
    pointer = torch.randn(objects, POINTERS, 128, generator=generator)
    memory_bias = torch.tensor([0.0, 0.0, 0.0, EMPTY_SLOT]).expand(objects, -1)
    pointer_bias = torch.tensor([0.0] * 3 + [EMPTY_SLOT] * 5).expand(objects, -1)
    age = torch.tensor([0, 0, 1, 2]).expand(objects, -1)
    pointer_age = torch.tensor([4.0, 2.0, 1.0, 9.0, 9.0, 9.0, 9.0, 9.0]).expand(objects, -1)
    return [memory, age, memory_bias, pointer, pointer_age, pointer_bias]


def test_features_are_those_of_transformers(model: Sam2VideoModel) -> None:
    frames = torch.from_numpy(draw_clip(5, frames=2).frames)
    encode = ImageEncoder(model)
    pixels = (frames.permute(0, 3, 1, 2).float() - encode.mean) / encode.std
    theirs = model.get_image_features(pixels, return_dict=True).fpn_hidden_states
    for ours, other in zip(encode(frames), reversed(theirs), strict=True):
        torch.testing.assert_close(ours.flatten(2).permute(2, 0, 1), other, atol=2e-5, rtol=0)


def test_a_hidden_slot_equals_no_slot(model: Sam2VideoModel, levels: tuple[torch.Tensor, ...]) -> None:
    """Fixed slots with a key bias against transformers' own attention over the filled ones only."""
    step = TrackStep(model).attention
    memory, _, _, pointer, pointer_age, _ = bank = random_bank(1)
    ours = step(levels[0], *bank)
    table = model.memory_temporal_positional_encoding[:, 0]
    spatial = step.memory_position[0]
    filled = torch.cat([memory[0, 0], memory[0, 1], memory[0, 2], pointer[0, :3].reshape(-1, 64)])
    time, _ = model._process_object_pointers(
        pointer_age[0, :3].tolist(), list(pointer[:, :3].unbind(1)), 7, 1, 128, torch.device("cpu")
    )[::-1]
    places = torch.cat([spatial + table[-1], spatial + table[-1], spatial + table[0], time[:, 0]])
    theirs = model.memory_attention(
        current_vision_features=levels[0].flatten(2).permute(2, 0, 1),
        memory=filled[:, None],
        current_vision_position_embeddings=step.position.permute(1, 0, 2),
        memory_posision_embeddings=places[:, None],
        num_object_pointer_tokens=6,
    )
    torch.testing.assert_close(ours[0], theirs.squeeze(1)[0], atol=1e-5, rtol=0)


def test_what_an_empty_slot_holds_does_not_matter(
    model: Sam2VideoModel, levels: tuple[torch.Tensor, ...]
) -> None:
    step, bank = TrackStep(model), random_bank(2)
    before = step(*levels, *bank)
    bank[0], bank[3] = bank[0].clone(), bank[3].clone()
    bank[0][:, 3], bank[3][:, 3:] = 7.0, -7.0
    for one, other in zip(before, step(*levels, *bank), strict=True):
        assert torch.equal(one, other)


def test_a_batch_of_two_equals_two_singles(model: Sam2VideoModel, levels: tuple[torch.Tensor, ...]) -> None:
    step, bank = TrackStep(model), random_bank(2)
    together = step(*levels, *bank)
    for row in range(2):
        alone = step(*levels, *(array[row : row + 1] for array in bank))
        for one, other in zip(together, alone, strict=True):
            torch.testing.assert_close(one[row : row + 1], other, atol=2e-5, rtol=1e-5)


def test_pictures_in_one_batch_keep_to_their_objects(model: Sam2VideoModel) -> None:
    """Training follows several clips at once: each picture is shared by its own objects only."""
    step, encode, bank = TrackStep(model), ImageEncoder(model), random_bank(4)
    both = encode(torch.from_numpy(draw_clip(6, frames=2, stride=9).frames))
    together = step(*both, *bank)
    for picture in range(2):
        own = slice(2 * picture, 2 * picture + 2)
        alone = step(*(level[picture : picture + 1] for level in both), *(array[own] for array in bank))
        for one, other in zip(together, alone, strict=True):
            torch.testing.assert_close(one[own], other, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("seed", [5, 9])
def test_streamed_masks_are_those_of_transformers_session(model: Sam2VideoModel, seed: int) -> None:
    """While nothing has to leave the bank. Memories are bfloat16 there, float32 here: hence the tolerance."""
    clip = draw_clip(seed, frames=5, stride=3)
    frames, mask = torch.from_numpy(clip.frames), torch.from_numpy(clip.masks[0, :1]).float()
    tracker = TrainedTracker(model)
    ours = tracker.follow(frames[None], {0: mask})
    session = Sam2VideoInferenceSession(None, 256, 256, dtype=torch.float32)
    session.add_mask_inputs(session.obj_id_to_idx(1), 0, mask[None])
    session.obj_with_new_inputs = [1]
    pixels = (frames.permute(0, 3, 1, 2).float() - tracker.encode.mean) / tracker.encode.std
    theirs = [model(session, frame=one) for one in pixels][1:]
    for (logits, _, score), other in zip(ours, theirs, strict=True):
        assert abs(float(score) - float(other.object_score_logits)) < 5e-3
        if float(score) > 0:
            torch.testing.assert_close(logits, other.pred_masks[:, 0], atol=2e-2, rtol=0)
        else:
            assert (other.pred_masks == NO_OBJECT).all()


def test_an_empty_prompt_leaves_the_pointer_of_nothing(
    model: Sam2VideoModel, levels: tuple[torch.Tensor, ...]
) -> None:
    pointer, _ = MaskPrompt(model)(*levels, torch.zeros(1, 256, 256))
    assert torch.equal(pointer, model.no_object_pointer)


def test_multimask_models_take_the_best_of_three(levels: tuple[torch.Tensor, ...]) -> None:
    config = tracker_config()
    config.multimask_output_in_sam = config.multimask_output_for_tracking = True
    torch.manual_seed(0)
    with torch.inference_mode():
        step = TrackStep(Sam2VideoModel(config).eval())
        logits, iou, *_ = step(*levels, *random_bank(3))
        assert step.multimask and logits.shape == (3, 64, 64) and iou.shape == (3,)
