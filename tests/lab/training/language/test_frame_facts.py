"""Facts about a frame have the margins that are documented, and are in doubt within them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lab.training.language.frame_facts import MIN_VISIBLE_SHARE, SIZE_RATIO, FrameFacts
from lab.training.scene_description import ObjectLabel, SceneDescription
from lab.training.world.holdout import Split, is_held_out, vocabulary_of
from lab.training.world.levels import CURRICULUM
from lab.training.world.scenes import draw_clip

PLAIN = CURRICULUM[0]
SIDE = 100


def scene_of(
    *tracks: list[tuple[float, float]], sizes: tuple[float, ...] = (), step_s: float = 0.1
) -> SceneDescription:
    """Squares of `sizes` (pixels) whose centres follow the tracks; a later square is in front."""
    count, frames = len(tracks), len(tracks[0])
    sizes = sizes or (20.0,) * count
    masks = np.zeros((frames, count, SIDE, SIDE), dtype=np.bool_)
    occluded = np.zeros((frames, count, count), dtype=np.float32)
    for t in range(frames):
        for n, track in enumerate(tracks):
            (x, y), half = track[t], sizes[n] / 2
            solid = np.zeros((SIDE, SIDE), dtype=np.bool_)
            solid[
                max(round(y - half), 0) : max(round(y + half), 0),
                max(round(x - half), 0) : max(round(x + half), 0),
            ] = True
            occluded[t, :n, n] = (masks[t, :n] & solid).sum(axis=(1, 2))
            masks[t, :n] &= ~solid
            masks[t, n] = solid
    centres = np.array(tracks, dtype=np.float32).transpose(1, 0, 2)
    half = np.array(sizes, dtype=np.float32)[None, :, None] / 2
    return SceneDescription(
        labels=tuple(ObjectLabel("cup", colour) for colour in PLAIN.colours[:count]),
        masks=masks,
        amodal_area_px=np.tile(np.square(np.array(sizes, dtype=np.float32)), (frames, 1)),
        occluded_px=occluded,
        centres_px=centres,
        boxes_px=np.concatenate([centres - half, centres + half], axis=2),
        world_centres_px=centres.copy(),
        step_s=step_s,
        vocabulary=vocabulary_of(PLAIN, Split.TRAINING),
    )


def static(*places: tuple[float, float], sizes: tuple[float, ...] = ()) -> FrameFacts:
    return FrameFacts(scene_of(*([place] for place in places), sizes=sizes), 0)


def moving(*tracks: list[tuple[float, float]]) -> FrameFacts:
    return FrameFacts(scene_of(*tracks), len(tracks[0]) - 1)


def line(
    start: tuple[float, float], step: tuple[float, float], frames: int = 14
) -> list[tuple[float, float]]:
    return [(start[0] + k * step[0], start[1] + k * step[1]) for k in range(frames)]


def test_an_object_is_visible_or_barely_visible_or_neither() -> None:
    facts = static((30, 30), (33, 30), (95, 95), (150, 50), sizes=(20, 20, 20, 20))
    assert facts.barely_visible == (0,), "most of it is occluded"
    assert facts.visible == (1, 2)


def test_visible_objects_show_the_documented_share_of_their_area() -> None:
    for seed in range(20):
        facts = FrameFacts(draw_clip(seed, frames=2, size=(96, 96), stride=40, level=CURRICULUM[-1]), 1)
        for index in facts.visible:
            area = facts.scene.amodal_area_px[1, index]
            assert facts.scene.masks[1, index].sum() >= MIN_VISIBLE_SHARE * area


@pytest.mark.parametrize(("ratio", "verdict"), [(1.5, True), (1.1, None), (0.9, None), (0.6, False)])
def test_is_larger_has_a_margin(ratio: float, verdict: bool | None) -> None:
    assert static((20, 20), (70, 70), sizes=(20 * ratio, 20)).is_larger(0, 1) is verdict
    assert 1.1 < SIZE_RATIO < 1.5


def test_is_larger_needs_area_and_box_to_agree() -> None:
    facts = static((20, 20), (70, 70), sizes=(30, 20))
    thin = replace(facts.scene, amodal_area_px=np.array([[300.0, 400.0]], dtype=np.float32))
    assert FrameFacts(thin, 0).is_larger(0, 1) is None


@pytest.mark.parametrize(
    ("other", "verdict"),
    [((80, 50), True), ((45, 50), None), ((40, 20), None), ((10, 50), False), ((58, 95), None)],
)
def test_is_before_has_a_margin_and_is_in_doubt_on_a_steep_diagonal(
    other: tuple[float, float], verdict: bool | None
) -> None:
    assert static((40, 50), other).is_before(0, 1, 0) is verdict


def test_is_behind_follows_occluded_pixels() -> None:
    facts = static((30, 50), (42, 50), (80, 50))
    assert facts.is_behind(0, 1) is True
    assert facts.is_behind(1, 0) is False
    assert facts.is_behind(0, 2) is False
    assert static((30, 50), (49.6, 50)).is_behind(0, 1) is None, "they touch, but almost nothing is occluded"


def test_motion_history_needs_enough_frames_close_enough_in_time() -> None:
    assert not FrameFacts(scene_of(line((20, 20), (2, 0), frames=2)), 1).has_motion_history
    assert FrameFacts(scene_of(line((20, 20), (2, 0), frames=4)), 3).has_motion_history
    assert not FrameFacts(scene_of(line((20, 20), (2, 0), frames=9), step_s=0.5), 8).has_motion_history


def test_moves_towards_is_in_doubt_on_a_diagonal() -> None:
    facts = moving(
        line((20, 20), (3, 0)), line((80, 20), (0, 3)), line((20, 80), (2, -2)), line((80, 80), (0, 0))
    )
    directions = [facts.moves_towards(0, axis, sign) for axis, sign in ((0, 1), (0, -1), (1, 1))]
    assert directions == [True, False, False]
    assert facts.moves_towards(1, 1, 1) is True
    assert facts.moves_towards(2, 0, 1) is None and facts.moves_towards(2, 1, -1) is None
    assert [facts.is_moving(index) for index in range(4)] == [True, True, True, False]


def test_a_slow_object_is_neither_moving_nor_static() -> None:
    assert moving(line((20, 20), (0.7, 0))).is_moving(0) is None


def test_motion_of_the_camera_alone_is_in_doubt() -> None:
    facts = moving(line((20, 20), (3, 0)))
    panned = replace(facts.scene, world_centres_px=np.zeros_like(facts.scene.world_centres_px))
    assert FrameFacts(panned, facts.frame).is_moving(0) is None


def test_has_stopped_needs_motion_within_the_window() -> None:
    stops = [*line((20, 20), (4, 0), 6), *[(40.0, 20.0)] * 8]
    facts = moving(stops, line((20, 50), (0, 0)), line((20, 80), (3, 0)))
    assert [facts.has_stopped(index) for index in range(3)] == [True, False, False]
    assert moving(line((20, 20), (0, 0), 6)).has_stopped(0) is None, "too few frames precede"


def test_is_faster_has_a_margin() -> None:
    facts = moving(line((20, 20), (5, 0)), line((20, 50), (2, 0)), line((20, 80), (4.5, 0)))
    assert facts.is_faster(0, 1) is True
    assert facts.is_faster(1, 0) is False
    assert facts.is_faster(0, 2) is None


@pytest.mark.parametrize(
    ("rate", "approaching", "receding"),
    [(1.05, True, False), (0.95, False, True), (1.0, False, False), (1.02, None, False)],
)
def test_approaching_and_receding_have_a_margin(
    rate: float, approaching: bool | None, receding: bool | None
) -> None:
    scene = scene_of(line((50, 50), (0, 0)))
    areas = (400 * rate ** (2 * np.arange(14)))[:, None].astype(np.float32)
    facts = FrameFacts(replace(scene, amodal_area_px=areas), 13)
    assert (facts.is_approaching(0), facts.is_receding(0)) == (approaching, receding)


def test_held_out_labels_may_be_named_only_in_their_split() -> None:
    labels = [ObjectLabel(category, colour) for category in PLAIN.categories for colour in PLAIN.colours]
    held_out = next(label for label in labels if is_held_out(label))
    scene = scene_of([(50, 50)])
    assert not FrameFacts(scene, 0).may_name(held_out)
    about = replace(scene, vocabulary=vocabulary_of(PLAIN, Split.COMBINATIONS))
    assert FrameFacts(about, 0).may_name(held_out)
