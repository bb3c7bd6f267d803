"""Matching the masks of an answer with the tracks of its query."""

from __future__ import annotations

import numpy as np

from engines.tracking.association import associate


def box(x0: int, x1: int) -> np.ndarray:
    mask = np.zeros((16, 64), np.bool_)
    mask[:, x0:x1] = True
    return mask


def test_a_mask_is_paired_with_the_track_that_it_overlaps() -> None:
    found = associate([box(0, 10), box(30, 40)], [box(31, 42), box(0, 9)], reacquire=True)
    assert found.pairs == ((0, 1), (1, 0)) and not found.new and not found.missed


def test_pairs_are_formed_in_order_of_falling_iou() -> None:
    found = associate([box(0, 10), box(4, 14)], [box(4, 14), box(0, 10)], reacquire=False)
    assert found.pairs == ((0, 1), (1, 0))


def test_a_mask_without_a_track_is_new_and_a_visible_track_without_a_mask_is_missed() -> None:
    found = associate([box(0, 10)], [box(40, 50)], reacquire=True)
    assert found.new == (0,) and found.missed == (0,) and not found.pairs


def test_an_unmatched_mask_reacquires_a_track_that_was_not_visible() -> None:
    found = associate([box(0, 10)], [None], reacquire=True)
    assert found.pairs == ((0, 0),) and not found.new


def test_without_reacquire_an_unmatched_mask_is_new() -> None:
    found = associate([box(0, 10)], [None], reacquire=False)
    assert found.new == (0,) and not found.pairs and not found.missed


def test_an_unmatched_mask_never_reacquires_a_visible_track() -> None:
    found = associate([box(0, 10)], [box(40, 50), None], reacquire=True)
    assert found.pairs == ((0, 1),) and found.missed == (0,)


def test_a_second_track_on_one_object_is_a_duplicate() -> None:
    found = associate([box(0, 10)], [box(0, 10), box(0, 9)], reacquire=True)
    assert found.pairs == ((0, 0),) and found.duplicates == (1,) and not found.missed


def test_an_answer_without_masks_misses_only_visible_tracks() -> None:
    found = associate([], [box(0, 10), None], reacquire=True)
    assert found.missed == (0,) and not found.pairs and not found.duplicates
