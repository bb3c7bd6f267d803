"""A composed scene keeps to its level."""

from __future__ import annotations

import numpy as np
import pytest

from lab.training.world.catalogue import DRAWINGS, UNLABELLED
from lab.training.world.composition import compose_scene
from lab.training.world.holdout import Split
from lab.training.world.levels import CURRICULUM, UNLABELLED_LEVEL, Level
from lab.training.world.motion import Motion
from lab.training.world.rendering import Scene

PLAIN = CURRICULUM[0]


def composed(level: Level, split: Split = Split.TRAINING, count: int = 25) -> list[Scene]:
    seeds = range(split.first_seed, split.first_seed + count)
    return [compose_scene(seed, level, (96, 96), np.random.default_rng(seed)) for seed in seeds]


@pytest.mark.parametrize("level", CURRICULUM, ids=lambda level: level.name)
def test_a_scene_has_only_what_its_level_allows(level: Level) -> None:
    for scene in composed(level):
        labelled = [obj for obj in scene.objects if obj.label is not None]
        assert level.object_count[0] <= len(labelled) <= level.object_count[1]
        assert len(scene.objects) - len(labelled) <= level.max_occluders
        for obj in labelled:
            assert obj.label is not None
            assert obj.label.category in level.categories and obj.label.colour in level.colours
            assert level.size_range[0] <= obj.size <= level.size_range[1]
            assert isinstance(obj.path, Motion)
            assert abs(obj.path.tilt) <= min(level.max_tilt_rad, DRAWINGS[obj.label.category].max_tilt_rad)


def test_the_first_level_has_no_occluders_no_shadows_and_a_static_camera() -> None:
    for scene in composed(PLAIN):
        assert all(obj.label for obj in scene.objects)
        assert scene.shadows == 0 and not scene.camera.is_moving


def test_the_backmost_object_is_no_occluder() -> None:
    assert all(scene.objects[0].label is not None for scene in composed(CURRICULUM[-1]))


def test_no_colour_name_fits_an_occluder() -> None:
    occluders = [
        obj for scene in composed(CURRICULUM[-1], count=60) for obj in scene.objects if obj.label is None
    ]
    assert len(occluders) > 20
    for occluder in occluders:
        tone = np.median(occluder.sprite.rgb.reshape(-1, 3), axis=0)
        assert np.ptp(tone) < 45 and 50 < tone.mean() < 195


def test_only_unlabelled_objects_deform() -> None:
    objects = [obj for scene in composed(UNLABELLED_LEVEL) for obj in scene.objects]
    for obj in objects:
        assert bool(obj.deformation.waves) == (obj.label == UNLABELLED)
    assert sum(obj.label == UNLABELLED for obj in objects) > 20


def test_objects_of_one_label_have_one_colour() -> None:
    for scene in composed(CURRICULUM[-1], Split.LOOK_ALIKES):
        by_label: dict[object, list[np.ndarray]] = {}
        for obj in scene.objects:
            if obj.label is not None:
                middle = obj.sprite.rgb.reshape(-1, 3)
                by_label.setdefault(obj.label, []).append(np.median(middle, axis=0))
        distractors = max(by_label.values(), key=len)
        assert len(distractors) >= 2
        assert np.ptp(np.array(distractors), axis=0).max() < 12


def test_objects_start_inside_the_image() -> None:
    for scene in composed(CURRICULUM[-1]):
        for obj in scene.objects:
            if obj.label is not None:
                pose = obj.path.pose_at(0.0)
                assert 0 < pose.x < scene.aspect and 0 < pose.y < 1


def test_a_square_image_is_squeezed_from_several_aspects() -> None:
    assert {round(scene.aspect, 2) for scene in composed(PLAIN)} == {1.0, 1.33, 1.78}
