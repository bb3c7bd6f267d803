"""What is certain is so by the masks; what is not is None."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lab.training.language.view import SEEN_OF_WHOLE, SIZE_RATIO, View
from lab.training.world.catalogue import Thing
from lab.training.world.holdout import Split, is_held_out
from lab.training.world.levels import LADDER
from lab.training.world.scenes import Clip, draw_clip

PLAIN = LADDER[0]

SIDE = 100


def clip_of(*tracks: list[tuple[float, float]], sizes: tuple[float, ...] = (), step_s: float = 0.1) -> Clip:
    """Squares that go along tracks of middles (pixels), a later one before an earlier one."""
    count, frames = len(tracks), len(tracks[0])
    sizes = sizes or (20.0,) * count
    masks = np.zeros((frames, count, SIDE, SIDE), dtype=np.bool_)
    covered = np.zeros((frames, count, count), dtype=np.float32)
    for t in range(frames):
        for n, track in enumerate(tracks):
            (x, y), half = track[t], sizes[n] / 2
            solid = np.zeros((SIDE, SIDE), dtype=np.bool_)
            solid[
                max(round(y - half), 0) : max(round(y + half), 0),
                max(round(x - half), 0) : max(round(x + half), 0),
            ] = True
            covered[t, :n, n] = (masks[t, :n] & solid).sum(axis=(1, 2))
            masks[t, :n] &= ~solid
            masks[t, n] = solid
    centres = np.array(tracks, dtype=np.float32).transpose(1, 0, 2)
    half = np.array(sizes, dtype=np.float32)[None, :, None] / 2
    return Clip(
        frames=np.zeros((frames, SIDE, SIDE, 3), dtype=np.uint8),
        masks=masks,
        whole_px=np.tile(np.square(np.array(sizes, dtype=np.float32)), (frames, 1)),
        covered_px=covered,
        centres=centres,
        boxes=np.concatenate([centres - half, centres + half], axis=2),
        paths=centres.copy(),
        things=tuple(Thing("cup", colour) for colour in PLAIN.colours[:count]),
        step_s=step_s,
        seed=0,
        level=PLAIN,
    )


def still(*places: tuple[float, float], sizes: tuple[float, ...] = ()) -> View:
    return View(clip_of(*([place] for place in places), sizes=sizes), 0)


def moving(*tracks: list[tuple[float, float]]) -> View:
    return View(clip_of(*tracks), len(tracks[0]) - 1)


def line(
    start: tuple[float, float], step: tuple[float, float], frames: int = 14
) -> list[tuple[float, float]]:
    return [(start[0] + k * step[0], start[1] + k * step[1]) for k in range(frames)]


def test_a_thing_is_seen_or_doubtful_or_not_there() -> None:
    view = still((30, 30), (33, 30), (95, 95), (150, 50), sizes=(20, 20, 20, 20))
    assert view.doubtful == (0,), "most of it is hidden"
    assert view.seen == (1, 2)


def test_seen_things_show_enough_of_themselves() -> None:
    for seed in range(20):
        view = View(draw_clip(seed, frames=2, size=(96, 96), stride=40, level=LADDER[-1]), 1)
        for index in view.seen:
            assert view.clip.masks[1, index].sum() >= SEEN_OF_WHOLE * view.clip.whole_px[1, index]


@pytest.mark.parametrize(("ratio", "verdict"), [(1.5, True), (1.1, None), (0.9, None), (0.6, False)])
def test_larger_has_a_margin(ratio: float, verdict: bool | None) -> None:
    assert still((20, 20), (70, 70), sizes=(20 * ratio, 20)).larger(0, 1) is verdict
    assert 1.1 < SIZE_RATIO < 1.5


def test_larger_needs_area_and_extent_to_agree() -> None:
    view = still((20, 20), (70, 70), sizes=(30, 20))
    thin = replace(view.clip, whole_px=np.array([[300.0, 400.0]], dtype=np.float32))
    assert View(thin, 0).larger(0, 1) is None


@pytest.mark.parametrize(
    ("other", "verdict"),
    [((80, 50), True), ((45, 50), None), ((40, 20), None), ((10, 50), False), ((58, 95), None)],
)
def test_beside_has_a_margin_and_no_steep_slant(other: tuple[float, float], verdict: bool | None) -> None:
    assert still((40, 50), other).beside(0, 1, 0) is verdict


def test_behind_is_by_what_is_hidden() -> None:
    view = still((30, 50), (42, 50), (80, 50))
    assert view.behind(0, 1) is True
    assert view.behind(1, 0) is False
    assert view.behind(0, 2) is False
    assert still((30, 50), (49.6, 50)).behind(0, 1) is None, "they touch, and nothing is hidden to speak of"


def test_movement_needs_some_moments() -> None:
    assert not View(clip_of(line((20, 20), (2, 0), frames=2)), 1).moves_known
    assert View(clip_of(line((20, 20), (2, 0), frames=4)), 3).moves_known
    assert not View(clip_of(line((20, 20), (2, 0), frames=9), step_s=0.5), 8).moves_known


def test_directions() -> None:
    view = moving(
        line((20, 20), (3, 0)), line((80, 20), (0, 3)), line((20, 80), (2, -2)), line((80, 80), (0, 0))
    )
    assert [view.goes(0, 0, 1), view.goes(0, 0, -1), view.goes(0, 1, 1)] == [True, False, False]
    assert view.goes(1, 1, 1) is True
    assert view.goes(2, 0, 1) is None and view.goes(2, 1, -1) is None, "it goes both ways"
    assert [view.moves(index) for index in range(4)] == [True, True, True, False]


def test_creeping_is_in_doubt() -> None:
    assert moving(line((20, 20), (0.7, 0))).moves(0) is None


def test_what_only_the_camera_moves_is_in_doubt() -> None:
    view = moving(line((20, 20), (3, 0)))
    panned = replace(view.clip, paths=np.zeros_like(view.clip.paths))
    assert View(panned, view.frame).moves(0) is None


def test_stopped_is_resting_after_having_moved() -> None:
    halted = [*line((20, 20), (4, 0), 6), *[(40.0, 20.0)] * 8]
    view = moving(halted, line((20, 50), (0, 0)), line((20, 80), (3, 0)))
    assert [view.stopped(index) for index in range(3)] == [True, False, False]
    assert moving(line((20, 20), (0, 0), 6)).stopped(0) is None, "nobody saw what it did before"


def test_faster_has_a_margin() -> None:
    view = moving(line((20, 20), (5, 0)), line((20, 50), (2, 0)), line((20, 80), (4.5, 0)))
    assert view.faster(0, 1) is True and view.faster(1, 0) is False and view.faster(0, 2) is None


def test_growing_and_shrinking() -> None:
    view = moving(line((50, 50), (0, 0)))
    for rate, nears, recedes in (
        (1.05, True, False),
        (0.95, False, True),
        (1.0, False, False),
        (1.02, None, False),
    ):
        whole = (400 * rate ** (2 * np.arange(14)))[:, None].astype(np.float32)
        grown = View(replace(view.clip, whole_px=whole), 13)
        assert (grown.nears(0), grown.recedes(0)) == (nears, recedes), rate


def test_only_their_own_scenes_name_held_out_combinations() -> None:
    secret = next(Thing(k, c) for k in PLAIN.kinds for c in PLAIN.colours if is_held_out(Thing(k, c)))
    view = still((50, 50))
    assert not view.may_name(secret)
    assert View(replace(view.clip, seed=Split.COMBINATIONS.first_seed), 0).may_name(secret)
