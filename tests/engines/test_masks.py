"""Masks from logits, compared with PyTorch's interpolation and pycocotools' encoder."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from torch.nn import functional

from engines.geometry import mask_iou
from engines.masks import decode_mask, encode_mask, mask_from_logits, non_overlapping_masks


def blobs(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    smooth = cv2.GaussianBlur(rng.normal(size=(64, 64)).astype(np.float32), (0, 0), rng.uniform(2, 8))
    return (smooth - np.quantile(smooth, rng.uniform(0.3, 0.97))).astype(np.float32)


def whole(logits: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    large = functional.interpolate(torch.from_numpy(logits)[None, None], size=size, mode="bilinear")
    return (large[0, 0] > 0).numpy()


@pytest.mark.parametrize("seed", range(20))
def test_a_mask_is_that_of_bilinearly_resized_logits(seed: int) -> None:
    size = ((360, 640), (97, 333), (720, 50), (64, 64))[seed % 4]
    logits = blobs(seed)
    encoded = mask_from_logits(logits, size)
    assert encoded is not None
    assert mask_iou(decode_mask(encoded.rle), whole(logits, size)) > 0.999


@pytest.mark.parametrize("seed", range(20))
def test_box_area_and_run_lengths_are_of_the_same_pixels(seed: int) -> None:
    encoded = mask_from_logits(blobs(seed), (240, 427))
    assert encoded is not None
    mask = decode_mask(encoded.rle)
    rows, columns = np.nonzero(mask)
    assert encoded.area_px == rows.size
    assert encoded.box_px == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    assert encoded.rle == encode_mask(mask), "as pycocotools encodes it"


def test_a_mask_of_the_whole_frame_is_one_run() -> None:
    encoded = mask_from_logits(np.ones((64, 64), np.float32), (30, 40))
    assert encoded is not None and encoded.area_px == 1200 and encoded.box_px == (0, 0, 40, 30)
    assert decode_mask(encoded.rle).all()


def test_columns_that_touch_top_and_bottom_join_into_one_run() -> None:
    logits = np.full((8, 8), -1.0, np.float32)
    logits[:, 2:5] = 1.0
    encoded = mask_from_logits(logits, (8, 8))
    assert encoded is not None
    mask = np.zeros((8, 8), np.bool_)
    mask[:, 2:5] = True
    assert encoded.rle == encode_mask(mask)


def test_a_mask_of_the_first_pixel_begins_with_an_empty_run() -> None:
    logits = np.full((8, 8), -1.0, np.float32)
    logits[0, 0] = 1.0
    encoded = mask_from_logits(logits, (8, 8))
    assert encoded is not None
    assert (encoded.area_px, encoded.box_px, encoded.rle) == (1, (0, 0, 1, 1), encode_mask(logits > 0))


def test_logits_below_zero_give_no_mask() -> None:
    assert mask_from_logits(np.full((64, 64), -0.5, np.float32), (360, 640)) is None


def test_decode_inverts_encode() -> None:
    mask = np.random.default_rng(1).random((37, 53)) > 0.5
    assert np.array_equal(decode_mask(encode_mask(mask)), mask)


def test_non_overlapping_masks_share_no_pixel_and_cover_the_same_pixels() -> None:
    rows = np.linspace(-1, 1, 16, dtype=np.float32)
    logits = np.stack([np.tile(0.6 - rows, (12, 1)), np.tile(rows + 0.7, (12, 1)), np.full((12, 16), -1.0)])
    one, other, nothing = non_overlapping_masks(logits.astype(np.float32), (48, 64))
    alone = [mask_from_logits(each, (48, 64)) for each in logits[:2].astype(np.float32)]
    assert one is not None and other is not None and nothing is None
    assert not (decode_mask(one.rle) & decode_mask(other.rle)).any()
    both = [decode_mask(each.rle) for each in alone if each is not None]
    assert np.array_equal(decode_mask(one.rle) | decode_mask(other.rle), both[0] | both[1])
    assert (both[0] & both[1]).any(), "without the constraint they overlap"


def test_a_single_mask_is_unchanged_by_the_constraint() -> None:
    logits = np.random.default_rng(0).normal(size=(1, 8, 8)).astype(np.float32)
    assert non_overlapping_masks(logits, (20, 30)) == [mask_from_logits(logits[0], (20, 30))]
