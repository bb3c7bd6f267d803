"""Batches of photographic clips for the tracker."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch

from lab.training.nano_config import SIDE_PX
from lab.training.photo_clips import DRAWN_EVERY, PhotoClips
from lab.training.tracker_clips import TrackerRequest
from lab.training.world.levels import CURRICULUM
from tests.photo_folder import write_photo_folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> PhotoClips:
    return PhotoClips(write_photo_folder(tmp_path_factory.mktemp("photos")))


def request(step: int) -> TrackerRequest:
    return TrackerRequest(seed=1, step=step, spent=0.5, level=CURRICULUM[0])


@pytest.mark.parametrize(("step", "shape"), [(0, (4, 4)), (1, (3, 5)), (3, (2, 8))])
def test_a_batch_has_clips_masks_and_a_prompt_for_every_object(
    data: PhotoClips, step: int, shape: tuple[int, int]
) -> None:
    clips, frames = shape
    batch = data.load(request(step))
    assert batch.clips.frames.shape == (clips, frames, SIDE_PX, SIDE_PX, 3)
    assert batch.clips.masks.shape == (frames, 2 * clips, SIDE_PX, SIDE_PX)
    assert batch.prompts[0].flatten(1).any(dim=1).all()


def test_a_batch_is_a_function_of_the_request(data: PhotoClips) -> None:
    first, again = data.load(request(2)), data.load(request(2))
    assert torch.equal(first.clips.frames, again.clips.frames)
    assert torch.equal(first.clips.masks, again.clips.masks)
    assert not torch.equal(first.clips.frames, data.load(request(1)).clips.frames)


def test_some_steps_are_of_the_drawn_world(data: PhotoClips) -> None:
    ours, drawn = data.load(request(DRAWN_EVERY - 1)), data.drawn.load(request(DRAWN_EVERY - 1))
    assert torch.equal(ours.clips.frames, drawn.clips.frames)


def test_workers_can_be_given_the_data(data: PhotoClips, tmp_path: Path) -> None:
    assert pickle.loads(pickle.dumps(data)) == data
