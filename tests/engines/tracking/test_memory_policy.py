"""The product's rules and SAM-2's are told apart, and each is whole."""

from __future__ import annotations

from dataclasses import fields

from engines.tracking.memory_policy import AS_SAM2, PRODUCT, TrackerPolicy


def test_a_tracker_of_whom_nothing_is_asked_follows_the_products_rules() -> None:
    assert TrackerPolicy() == PRODUCT


def test_sam2_does_every_one_of_these_things_otherwise_but_for_overlaps_which_both_allow() -> None:
    names = [one.name for one in fields(TrackerPolicy)]
    same = [name for name in names if getattr(PRODUCT, name) == getattr(AS_SAM2, name)]
    assert same == ["apart"] and not PRODUCT.apart


def test_sam2_remembers_every_frame_and_forgets_nothing() -> None:
    assert AS_SAM2.keep_iou == AS_SAM2.agreed_iou == 0
