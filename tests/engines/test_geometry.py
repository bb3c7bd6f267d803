"""Resizing of frames and masks between source size and a model's square input."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from torch.nn import functional

from engines.geometry import downsample_by_4, mask_iou, to_fit, to_mask_prompt, to_square, to_square_mask


def ramp(height: int, width: int) -> np.ndarray:
    rows = np.linspace(0, 255, height)[:, None]
    columns = np.linspace(0, 255, width)[None]
    return np.stack([rows + 0 * columns, columns + 0 * rows, 0 * rows + 0 * columns], axis=2).astype(np.uint8)


@pytest.mark.parametrize("size", [(360, 640), (1080, 1920), (480, 854), (200, 300), (256, 256)])
def test_a_frame_of_any_size_is_resized_to_a_square(size: tuple[int, int]) -> None:
    square = to_square(ramp(*size), 256)
    assert square.shape == (256, 256, 3) and square.dtype == np.uint8 and square.flags.c_contiguous
    assert np.abs(square.astype(int) - ramp(256, 256)).max() <= 3


def test_downscaling_averages_the_pixels_it_covers() -> None:
    stripes = np.zeros((512, 1024, 3), np.uint8)
    stripes[:, ::2] = 200
    assert np.abs(to_square(stripes, 256).astype(int) - 100).max() <= 1


def test_the_square_is_close_to_opencvs_area_interpolation() -> None:
    noise = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 255, (360, 640, 3), np.uint8), (0, 0), 2)
    area = cv2.resize(noise, (256, 256), interpolation=cv2.INTER_AREA)
    assert np.abs(to_square(noise, 256).astype(int) - area).mean() < 1.0


@pytest.mark.parametrize(
    ("size", "fitted"),
    [((360, 640), (252, 448)), ((1920, 1080), (448, 252)), ((2160, 3840), (252, 448)), ((4, 4000), (1, 448))],
)
def test_a_frame_resized_to_fit_keeps_its_aspect(size: tuple[int, int], fitted: tuple[int, int]) -> None:
    small = to_fit(ramp(*size), 448)
    assert small.shape == (*fitted, 3) and small.dtype == np.uint8
    assert np.abs(small.astype(int)[:, :, 1] - ramp(*fitted)[:, :, 1]).max() <= 3


def test_a_frame_that_fits_is_returned_unchanged() -> None:
    frame = ramp(448, 336)
    assert to_fit(frame, 448) is frame


def test_a_mask_prompt_holds_zeros_and_ones() -> None:
    logits = np.full((64, 64), -3.0, np.float32)
    logits[16:32, 8:24] = 3.0
    prompt = to_mask_prompt(logits, 256)
    assert prompt.dtype == np.float32 and set(np.unique(prompt)) == {0.0, 1.0}
    assert prompt[65:127, 33:95].all() and 64 * 64 - 4 <= prompt.sum() <= 64 * 64, "corners may be rounded"


def test_masks_of_different_sizes_are_resized_to_one() -> None:
    logits = np.where(np.arange(48)[:, None] < 24, 1.0, -1.0).astype(np.float32) * np.ones(
        (1, 64), np.float32
    )
    assert mask_iou(to_square_mask(logits, 64), to_square_mask(logits, 64)) == 1.0
    assert to_square_mask(logits, 64)[:32].all() and not to_square_mask(logits, 64)[32:].any()


def test_the_iou_of_two_empty_masks_is_zero() -> None:
    empty = np.zeros((4, 4), np.bool_)
    assert mask_iou(empty, empty) == 0.0
    half = empty.copy()
    half[:2] = True
    assert mask_iou(half, np.ones((4, 4), np.bool_)) == 0.5


@pytest.mark.parametrize("side", [16, 64])
def test_downsampling_equals_pytorchs_antialiased_interpolation(side: int) -> None:
    masks = np.random.default_rng(0).normal(size=(2, side, side)).astype(np.float32)
    expected = functional.interpolate(
        torch.from_numpy(masks)[None], scale_factor=0.25, mode="bilinear", antialias=True
    )
    np.testing.assert_allclose(downsample_by_4(masks), expected[0].numpy(), atol=1e-6)
