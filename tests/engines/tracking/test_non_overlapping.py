"""Distinct objects share no pixels; tracks that may follow one object may overlap."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engines.masks import decode_mask
from engines.tracking.memory_policy import PRODUCT
from engines.tracking.non_overlapping import (
    REMOVED_LOGIT,
    NonOverlappingPairs,
    apply_non_overlapping_constraints,
)
from engines.tracking.tracker import SamTracker
from streaming.vocabulary import Track, TrackId
from tests.colour_sam import ColourSam
from tests.coloured_objects import RED, answer, frame, started

ONE, OTHER = TrackId(1), TrackId(2)
BRICK = (220, 70, 30)
"Close enough to red that the network segments it as red, with lower logits."
BOTH = {RED: 4, BRICK: 40}


def block(left: int, right: int) -> np.ndarray:
    mask = np.zeros((8, 16), np.bool_)
    mask[2:6, left:right] = True
    return mask


def pixels(track: Track) -> np.ndarray:
    assert track.mask is not None
    return decode_mask(track.mask)


# --- pairs of distinct objects


@pytest.mark.parametrize(("left", "distinct"), [(8, True), (6, True), (5, False), (0, False)])
def test_masks_that_barely_overlap_show_distinct_objects(left: int, distinct: bool) -> None:
    pairs = NonOverlappingPairs()
    pairs.update(ONE, block(0, 8), {OTHER: block(left, left + 8)})
    assert pairs.matrix([ONE, OTHER]).tolist() == [[False, distinct], [distinct, False]]


def test_an_object_and_its_part_are_not_distinct() -> None:
    pairs = NonOverlappingPairs()
    pairs.update(ONE, block(0, 16), {OTHER: block(3, 5)})
    assert not pairs.matrix([ONE, OTHER]).any()


def test_a_pair_is_removed_only_when_the_masks_show_one_object() -> None:
    pairs = NonOverlappingPairs([(1, 2)])
    pairs.update(ONE, block(0, 8), {OTHER: block(4, 12)})
    assert pairs.export() == [[1, 2]]
    pairs.update(ONE, block(0, 8), {OTHER: block(1, 9)})
    assert pairs.export() == []


def test_tracks_without_a_mask_and_the_track_itself_form_no_pair() -> None:
    pairs = NonOverlappingPairs()
    pairs.update(ONE, block(0, 4), {ONE: block(8, 12), OTHER: None, TrackId(3): block(0, 0)})
    assert pairs.export() == []


def test_the_pairs_of_an_ended_track_are_removed() -> None:
    pairs = NonOverlappingPairs([(1, 2), (2, 3)])
    pairs.remove(ONE)
    assert pairs.export() == [[2, 3]]


# --- constraints on logits


def test_a_pixel_belongs_to_the_object_with_the_higher_logit() -> None:
    logits = np.array([[[3.0, 3.0, 1.0, -1.0]], [[-1.0, 2.0, 2.0, 2.0]]], np.float32)
    constrained, retained = apply_non_overlapping_constraints(
        logits, np.array([[False, True], [True, False]]), np.ones(2, np.bool_)
    )
    assert constrained.tolist() == [[[3.0, 3.0, REMOVED_LOGIT, -1.0]], [[-1.0, REMOVED_LOGIT, 2.0, 2.0]]]
    assert retained.tolist() == pytest.approx([2 / 3, 2 / 3])


@pytest.mark.parametrize(("pair", "reliable"), [(False, True), (True, False)])
def test_only_reliable_objects_of_a_pair_take_pixels(pair: bool, reliable: bool) -> None:
    logits = np.array([[[1.0, 1.0]], [[2.0, 2.0]]], np.float32)
    pairs = np.array([[False, pair], [pair, False]])
    constrained, retained = apply_non_overlapping_constraints(logits, pairs, np.array([reliable, reliable]))
    assert np.array_equal(constrained, logits) and retained.tolist() == [1.0, 1.0]


def test_an_empty_mask_retains_all_of_itself() -> None:
    logits = np.array([[[-1.0]], [[2.0]]], np.float32)
    _, retained = apply_non_overlapping_constraints(
        logits, np.array([[False, True], [True, False]]), np.ones(2, np.bool_)
    )
    assert retained.tolist() == [1.0, 1.0]


# --- in the tracker


def test_a_mask_does_not_leak_onto_a_distinct_object() -> None:
    tracker = started(BOTH, RED, BRICK)
    red, brick = tracker.step(frame(2, BOTH))
    assert pixels(red)[16, 10] and not pixels(red)[16, 46]
    assert pixels(brick)[16, 46] and not pixels(brick)[16, 10]
    assert not (pixels(red) & pixels(brick)).any()


def test_a_leak_is_not_published_for_an_object_that_has_left() -> None:
    tracker = started(BOTH, RED, BRICK)
    red, brick = tracker.step(frame(2, {BRICK: 40}))
    assert red.mask is None and brick.mask is not None


def test_without_the_constraint_the_leak_is_published() -> None:
    tracker = started(BOTH, RED, BRICK, policy=replace(PRODUCT, non_overlap_min_share=0.0))
    red, _ = tracker.step(frame(2, {BRICK: 40}))
    assert pixels(red)[16, 46]


def test_tracks_of_two_queries_on_one_object_may_overlap() -> None:
    tracker = SamTracker(ColourSam().compiled())
    tracker.step(frame(0, BOTH))
    tracker.pin(0)
    answers = [answer(0, BOTH, RED, query="one"), answer(0, BOTH, RED, query="other")]
    one, other = tracker.step(frame(1, BOTH), answers)
    assert one.mask == other.mask is not None


def test_a_restored_tracker_has_the_pairs_of_distinct_objects() -> None:
    before = started(BOTH, RED, BRICK)
    after = SamTracker(ColourSam().compiled(), capacity=4)
    after.restore(b"".join(before.snapshot().to_chunks()))
    assert after.step(frame(2, BOTH)) == before.step(frame(2, BOTH))
    assert not (np.logical_and(*map(pixels, after.step(frame(3, BOTH))))).any()
