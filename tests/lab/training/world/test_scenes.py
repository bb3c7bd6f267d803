"""A clip is a function of its seed, and its masks, areas and boxes agree."""

from __future__ import annotations

import colorsys
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lab.training.world.holdout import HELD_OUT_SEED, Split
from lab.training.world.levels import CURRICULUM, UNLABELLED_LEVEL, Level
from lab.training.world.scenes import Clip, draw_clip

PLAIN = CURRICULUM[0]
WORLD = CURRICULUM[-1]
by_level = pytest.mark.parametrize("level", [PLAIN, WORLD, UNLABELLED_LEVEL], ids=lambda level: level.name)


def same(one: Clip, other: Clip) -> bool:
    names = ("frames", "masks", "amodal_area_px", "occluded_px", "centres_px", "boxes_px", "world_centres_px")
    return one.labels == other.labels and all(
        np.array_equal(getattr(one, name), getattr(other, name)) for name in names
    )


@by_level
def test_the_same_seed_draws_the_same_clip(level: Level) -> None:
    assert same(draw_clip(5, frames=3, stride=4, level=level), draw_clip(5, frames=3, stride=4, level=level))


def test_another_process_draws_the_same_clip() -> None:
    """No random choice depends on the order of a set."""
    program = (
        "import zlib, numpy as np;"
        "from lab.training.world.levels import CURRICULUM;"
        "from lab.training.world.scenes import draw_clip;"
        "from lab.training.language.expressions import generate_expressions;"
        "clip = draw_clip(11, frames=1, level=CURRICULUM[-1]);"
        "texts = generate_expressions(clip, 0, np.random.default_rng(0));"
        "print(zlib.crc32(clip.frames.tobytes()), [one.text for one in texts])"
    )
    root = Path(__file__).parents[4]
    printed = {
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=root,
            env={"PYTHONPATH": str(root), "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(printed) == 1


@by_level
def test_another_seed_and_another_level_draw_another_clip(level: Level) -> None:
    one = draw_clip(5, frames=1, level=level)
    assert not same(one, draw_clip(6, frames=1, level=level))
    assert not np.array_equal(one.frames, draw_clip(5, frames=1, level=CURRICULUM[2]).frames)


@by_level
def test_a_longer_clip_begins_like_a_shorter_one(level: Level) -> None:
    long, short = draw_clip(7, frames=4, level=level), draw_clip(7, frames=1, level=level)
    assert np.array_equal(long.frames[0], short.frames[0])
    assert np.array_equal(long.masks[0], short.masks[0])


@pytest.mark.parametrize("split", Split)
def test_every_split_has_scenes(split: Split) -> None:
    assert draw_clip(split.first_seed, frames=1).frames.shape == (1, 256, 256, 3)


def test_a_seed_of_no_split_raises() -> None:
    with pytest.raises(ValueError, match="not a valid"):
        draw_clip(len(Split) * HELD_OUT_SEED, frames=1)


@by_level
@pytest.mark.parametrize("size", [(256, 256), (360, 640), (96, 128)])
def test_a_clip_has_the_size_asked_for(size: tuple[int, int], level: Level) -> None:
    clip = draw_clip(1, frames=2, size=size, level=level)
    count = len(clip.labels)
    assert clip.frames.shape == (2, *size, 3) and clip.frames.dtype == np.uint8
    assert clip.masks.shape == (2, count, *size) and clip.masks.dtype == np.bool_
    assert clip.amodal_area_px.shape == (2, count) and clip.occluded_px.shape == (2, count, count)
    assert clip.centres_px.shape == clip.world_centres_px.shape == (2, count, 2)
    assert clip.boxes_px.shape == (2, count, 4)


@by_level
def test_masks_are_disjoint_and_inside_their_amodal_boxes(level: Level) -> None:
    for seed in range(24):
        clip = draw_clip(seed, frames=2, stride=10, level=level)
        assert clip.masks.sum(axis=1).max() <= 1
        visible = clip.masks.sum(axis=(2, 3))
        assert (visible <= clip.amodal_area_px * 1.05 + 15).all()
        for frame, index in np.argwhere(visible > 0):
            # Antialiased polygons cover half a pixel around their outline.
            rows, columns = np.nonzero(clip.masks[frame, index])
            x0, y0, x1, y1 = clip.boxes_px[frame, index]
            assert x0 - 1.5 <= columns.min() and columns.max() <= x1 + 1.5
            assert y0 - 1.5 <= rows.min() and rows.max() <= y1 + 1.5


@by_level
def test_only_later_objects_occlude(level: Level) -> None:
    with_occlusion = 0
    for seed in range(24):
        occluded = draw_clip(seed, frames=1, level=level).occluded_px[0]
        assert np.array_equal(occluded, np.triu(occluded, 1))
        with_occlusion += bool(occluded.any())
    assert with_occlusion > 4


@by_level
def test_objects_move_smoothly(level: Level) -> None:
    for seed in range(8):
        clip = draw_clip(seed, frames=8, level=level)
        steps = np.abs(np.diff(clip.centres_px, axis=0)).max()
        assert steps <= 0.06 * 256
        assert np.abs(np.diff(np.log(clip.amodal_area_px), axis=0)).max() < 0.25


def test_the_median_pixel_of_an_object_has_its_colour() -> None:
    """By textbook hue, under all camera effects."""
    hues = {"red": 0, "orange": 27, "yellow": 52, "green": 130, "blue": 224, "purple": 283, "pink": 335}
    right = total = 0
    for seed in range(60):
        clip = draw_clip(seed, frames=1, level=WORLD)
        for index, label in enumerate(clip.labels):
            if label.colour not in hues or clip.masks[0, index].sum() < 300:
                continue
            red, green, blue = np.median(clip.frames[0][clip.masks[0, index]], axis=0) / 255
            hue = 360 * colorsys.rgb_to_hsv(float(red), float(green), float(blue))[0]
            nearest = min(hues, key=lambda name: abs((hue - hues[name] + 180) % 360 - 180))
            right, total = right + (nearest == label.colour), total + 1
    assert total > 90
    assert right / total > 0.95


def test_objects_are_occluded_leave_and_return() -> None:
    occluded = left = returned = 0
    for seed in range(30):
        clip = draw_clip(seed, frames=24, size=(64, 64), stride=5, level=WORLD)
        visible = clip.masks.any(axis=(2, 3))
        inside = ((clip.centres_px > 0) & (clip.centres_px < 64)).all(axis=2)
        occluded += int(((clip.masks.sum(axis=(2, 3)) < 0.5 * clip.amodal_area_px) & inside).any())
        left += int((~visible & ~inside).any())
        returned += int((~visible[:-1] & visible[1:]).any())
    assert min(occluded, left, returned) >= 4, (occluded, left, returned)


def test_take_objects() -> None:
    clip = draw_clip(0, frames=2, level=WORLD)
    kept = clip.take_objects([2, 0])
    assert kept.labels == (clip.labels[2], clip.labels[0])
    assert np.array_equal(kept.masks, clip.masks[:, [2, 0]])
    assert np.array_equal(kept.occluded_px, clip.occluded_px[:, [2, 0]][:, :, [2, 0]])
    assert kept.frames is clip.frames
