"""Which mask of an answer belongs to which track."""

from __future__ import annotations

import numpy as np

from engines.tracking.association import associate


def box(x0: int, x1: int) -> np.ndarray:
    mask = np.zeros((16, 64), np.bool_)
    mask[:, x0:x1] = True
    return mask


def test_an_overlapping_mask_refreshes_its_track() -> None:
    found = associate([box(0, 10), box(30, 40)], [box(31, 42), box(0, 9)], reacquire=True)
    assert found.pairs == ((0, 1), (1, 0)) and not found.new and not found.missed


def test_the_best_pair_comes_first() -> None:
    found = associate([box(0, 10), box(4, 14)], [box(4, 14), box(0, 10)], reacquire=False)
    assert found.pairs == ((0, 1), (1, 0))


def test_a_mask_on_nobody_is_new_and_a_track_under_nothing_is_missed() -> None:
    found = associate([box(0, 10)], [box(40, 50)], reacquire=True)
    assert found.new == (0,) and found.missed == (0,) and not found.pairs


def test_what_was_hidden_is_found_again() -> None:
    found = associate([box(0, 10)], [None], reacquire=True)
    assert found.pairs == ((0, 0),) and not found.new


def test_words_that_changed_find_nothing_again() -> None:
    found = associate([box(0, 10)], [None], reacquire=False)
    assert found.new == (0,) and not found.pairs and not found.missed


def test_a_visible_track_is_not_taken_for_a_hidden_one() -> None:
    found = associate([box(0, 10)], [box(40, 50), None], reacquire=True)
    assert found.pairs == ((0, 1),) and found.missed == (0,)


def test_two_tracks_on_one_thing_are_one_too_many() -> None:
    found = associate([box(0, 10)], [box(0, 10), box(0, 9)], reacquire=True)
    assert found.pairs == ((0, 0),) and found.doubles == (1,) and not found.missed


def test_an_answer_without_masks_misses_only_what_was_visible() -> None:
    found = associate([], [box(0, 10), None], reacquire=True)
    assert found.missed == (0,) and not found.pairs and not found.doubles
