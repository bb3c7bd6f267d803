"""Laws of the convolutional patch embedding."""

from __future__ import annotations

import torch

from engines.grounding.families.conv_stem import PatchStem


def test_every_width_halves_the_picture_after_the_first_quartered_it() -> None:
    stem = PatchStem((8, 16, 24))
    assert stem(torch.randn(2, 3, 64, 32)).shape == (2, 24, 4, 2)


def test_its_weight_tells_its_dtype() -> None:
    assert PatchStem((8, 16)).bfloat16().weight.dtype == torch.bfloat16


def test_a_cell_sees_its_neighbours_but_not_the_far_side() -> None:
    stem = PatchStem((8, 16, 24)).eval()
    torch.manual_seed(0)
    plain = torch.randn(1, 3, 128, 128)
    marked = plain.clone()
    marked[:, :, :16, :16] += 1
    with torch.no_grad():
        # GroupNorm sees the whole picture; what it spreads is small beside what the cell itself sees.
        change = (stem(marked) - stem(plain)).abs().sum(dim=1)[0]
    assert change[0, 0] > 5 * change[4:, 4:].max()
