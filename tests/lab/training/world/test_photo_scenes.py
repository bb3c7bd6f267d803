"""Scenes of photographs: a function of the seed, exact in their masks, of annotated categories."""

from __future__ import annotations

import numpy as np
import pytest

from lab.training.world.photo_scenes import PhotoWorld, draw_photo_camera
from lab.training.world.photographs import load_photographs
from lab.training.world.rendering import Scene, render_frame
from streaming.errors import NotFound
from tests.photo_folder import write_photo_folder

SIZE = (96, 96)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> PhotoWorld:
    return PhotoWorld(load_photographs(write_photo_folder(tmp_path_factory.mktemp("photos")), "train"))


def scenes(world: PhotoWorld, count: int) -> list[Scene]:
    return [world.compose(SIZE, np.random.default_rng(seed)) for seed in range(count)]


def test_a_scene_is_a_function_of_the_seed(world: PhotoWorld) -> None:
    first, again = (world.compose(SIZE, np.random.default_rng(3)) for _ in range(2))
    frames = [render_frame(scene, 0.4) for scene in (first, again)]
    assert np.array_equal(frames[0].image, frames[1].image)
    assert np.array_equal(frames[0].instance_map, frames[1].instance_map)


def test_every_scene_has_described_objects_of_annotated_categories(world: PhotoWorld) -> None:
    for scene in scenes(world, 20):
        categories = {obj.label.category for obj in scene.objects if obj.label is not None}
        assert categories and categories <= {"dog", "cup"}


def test_masks_of_a_scene_do_not_overlap_and_objects_move(world: PhotoWorld) -> None:
    moved = 0
    for scene in scenes(world, 20):
        early, late = render_frame(scene, 0.0), render_frame(scene, 1.0)
        assert early.masks.sum(axis=0).max() <= 1
        moved += not np.array_equal(early.instance_map, late.instance_map)
    assert moved > 15


def test_objects_of_a_whole_photograph_are_where_its_pixels_show_them(
    world: PhotoWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test's objects have one colour each: a mask in the right place covers one colour."""
    monkeypatch.setattr("lab.training.world.photo_scenes.WHOLE_SHARE", 1.0)
    checked = 0
    for seed in range(12):
        frame = render_frame(world.compose(SIZE, np.random.default_rng(seed)), 0.0)
        for mask in frame.masks[:1]:
            if mask.sum() > 200:
                spread = frame.image[mask].astype(float).std(axis=0).max()
                checked += spread < 45
    assert checked >= 6


def test_the_camera_is_still_at_the_first_frame() -> None:
    for seed in range(10):
        assert draw_photo_camera(np.random.default_rng(seed)).zoom_and_shift(0.0) == (1.0, 0.0, 0.0)


def test_photographs_without_objects_are_refused() -> None:
    with pytest.raises(NotFound, match="cut out"):
        PhotoWorld([])
