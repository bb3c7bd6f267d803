"""Laws of the convolutional patch embedding."""

from __future__ import annotations

import torch

from engines.grounding.families.conv_stem import ConvStem


def test_the_first_width_divides_the_size_by_four_and_each_further_by_two() -> None:
    stem = ConvStem((8, 16, 24))
    assert stem(torch.randn(2, 3, 64, 32)).shape == (2, 24, 4, 2)


def test_the_weight_has_the_dtype_of_the_module() -> None:
    assert ConvStem((8, 16)).bfloat16().weight.dtype == torch.bfloat16


def test_the_receptive_field_is_local() -> None:
    stem = ConvStem((8, 16, 24)).eval()
    torch.manual_seed(0)
    plain = torch.randn(1, 3, 128, 128)
    marked = plain.clone()
    marked[:, :, :16, :16] += 1
    with torch.no_grad():
        # GroupNorm has a global but small effect.
        change = (stem(marked) - stem(plain)).abs().sum(dim=1)[0]
    assert change[0, 0] > 5 * change[4:, 4:].max()
