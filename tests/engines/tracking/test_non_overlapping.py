"""Objects that a look told apart share no pixels; objects that may be one do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engines.masks import decode_mask
from engines.tracking.memory_policy import PRODUCT
from engines.tracking.non_overlapping import TAKEN, Rivals, share_out
from engines.tracking.tracker import SamTracker
from streaming.vocabulary import Track, TrackId
from tests.colour_sam import ColourSam
from tests.coloured_things import RED, answer, frame, started

ONE, OTHER = TrackId(1), TrackId(2)
BRICK = (220, 70, 30)
"So near to red that what follows red claims it too, only less."
BOTH = {RED: 4, BRICK: 40}


def block(left: int, right: int) -> np.ndarray:
    mask = np.zeros((8, 16), np.bool_)
    mask[2:6, left:right] = True
    return mask


def pixels(track: Track) -> np.ndarray:
    assert track.mask is not None
    return decode_mask(track.mask)


# --- who is whose rival


@pytest.mark.parametrize(("left", "apart"), [(8, True), (6, True), (5, False), (0, False)])
def test_masks_that_hardly_meet_are_of_rivals(left: int, apart: bool) -> None:
    rivals = Rivals()
    rivals.learn(ONE, block(0, 8), {OTHER: block(left, left + 8)})
    assert rivals.among([ONE, OTHER]).tolist() == [[False, apart], [apart, False]]


def test_a_part_is_no_rival_of_the_whole() -> None:
    rivals = Rivals()
    rivals.learn(ONE, block(0, 16), {OTHER: block(3, 5)})
    assert not rivals.among([ONE, OTHER]).any()


def test_rivals_that_meet_a_little_stay_rivals_and_that_are_one_do_not() -> None:
    rivals = Rivals([(1, 2)])
    rivals.learn(ONE, block(0, 8), {OTHER: block(4, 12)})
    assert rivals.export() == [[1, 2]]
    rivals.learn(ONE, block(0, 8), {OTHER: block(1, 9)})
    assert rivals.export() == []


def test_what_is_not_seen_says_nothing_and_nobody_is_his_own_rival() -> None:
    rivals = Rivals()
    rivals.learn(ONE, block(0, 4), {ONE: block(8, 12), OTHER: None, TrackId(3): block(0, 0)})
    assert rivals.export() == []


def test_who_has_ended_is_forgotten() -> None:
    rivals = Rivals([(1, 2), (2, 3)])
    rivals.forget(ONE)
    assert rivals.export() == [[2, 3]]


# --- whose a pixel is


def test_a_pixel_is_the_rivals_who_claims_it_most() -> None:
    logits = np.array([[[3.0, 3.0, 1.0, -1.0]], [[-1.0, 2.0, 2.0, 2.0]]], np.float32)
    shared, kept = share_out(logits, np.array([[False, True], [True, False]]), np.ones(2, np.bool_))
    assert shared.tolist() == [[[3.0, 3.0, TAKEN, -1.0]], [[-1.0, TAKEN, 2.0, 2.0]]]
    assert kept.tolist() == pytest.approx([2 / 3, 2 / 3])


@pytest.mark.parametrize(("rival", "claim"), [(False, True), (True, False)])
def test_only_rivals_who_are_believed_take(rival: bool, claim: bool) -> None:
    logits = np.array([[[1.0, 1.0]], [[2.0, 2.0]]], np.float32)
    rivals = np.array([[False, rival], [rival, False]])
    shared, kept = share_out(logits, rivals, np.array([claim, claim]))
    assert np.array_equal(shared, logits) and kept.tolist() == [1.0, 1.0]


def test_what_claims_nothing_keeps_all_of_it() -> None:
    logits = np.array([[[-1.0]], [[2.0]]], np.float32)
    _, kept = share_out(logits, np.array([[False, True], [True, False]]), np.ones(2, np.bool_))
    assert kept.tolist() == [1.0, 1.0]


# --- in the tracker


def test_a_mask_does_not_leak_onto_a_rival() -> None:
    tracker = started(BOTH, RED, BRICK)
    red, brick = tracker.step(frame(2, BOTH))
    assert pixels(red)[16, 10] and not pixels(red)[16, 46]
    assert pixels(brick)[16, 46] and not pixels(brick)[16, 10]
    assert not (pixels(red) & pixels(brick)).any()


def test_a_leak_is_not_shown_in_place_of_what_has_gone() -> None:
    tracker = started(BOTH, RED, BRICK)
    red, brick = tracker.step(frame(2, {BRICK: 40}))
    assert red.mask is None and brick.mask is not None


def test_without_the_rule_it_is_shown() -> None:
    tracker = started(BOTH, RED, BRICK, policy=replace(PRODUCT, rival_share=0.0))
    red, _ = tracker.step(frame(2, {BRICK: 40}))
    assert pixels(red)[16, 46]


def test_two_queries_may_follow_one_thing() -> None:
    tracker = SamTracker(ColourSam().compiled())
    tracker.step(frame(0, BOTH))
    tracker.pin(0)
    said = [answer(0, BOTH, RED, query="one"), answer(0, BOTH, RED, query="other")]
    one, other = tracker.step(frame(1, BOTH), said)
    assert one.mask == other.mask is not None


def test_a_restored_tracker_knows_its_rivals() -> None:
    before = started(BOTH, RED, BRICK)
    after = SamTracker(ColourSam().compiled(), capacity=4)
    after.restore(before.export())
    assert after.step(frame(2, BOTH)) == before.step(frame(2, BOTH))
    assert not (np.logical_and(*map(pixels, after.step(frame(3, BOTH))))).any()
