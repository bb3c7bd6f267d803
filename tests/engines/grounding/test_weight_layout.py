"""Laws of the mapping to published tensors."""

from __future__ import annotations

import pytest
import torch

from engines.grounding.weight_layout import (
    NAMED,
    UNFUSED,
    PublishedTensor,
    Stacked,
    check_tensors,
    native,
    published,
)
from streaming.errors import CheckpointError


def _locate(name: str) -> PublishedTensor:
    if name.endswith("_proj"):
        return PublishedTensor("fused", "qkv".index(name[0]), Stacked(3))
    return PublishedTensor(f"their.{name}")


POINTS = {"segmenter.prompt_encoder.point_embed.weight": torch.arange(8.0).view(4, 2)}


def test_published_tensors_convert_back() -> None:
    state = {name: torch.randn(2, 3) for name in ("q_proj", "k_proj", "v_proj", "norm")} | POINTS
    theirs = published(state, _locate)
    assert {"fused", "their.norm"} < theirs.keys() and len(theirs) == 6
    assert theirs["fused"].shape == (6, 3)
    assert all(torch.equal(native(name, theirs, _locate), tensor) for name, tensor in state.items())


def test_order_of_names_does_not_matter() -> None:
    state = {name: torch.tensor([float("qkv".index(name[0]))]) for name in ("v_proj", "k_proj", "q_proj")}
    assert published(state | POINTS, _locate)["fused"].tolist() == [0, 1, 2]


def test_a_part_is_a_view_and_takes_no_memory() -> None:
    whole = torch.randn(6, 2)
    assert Stacked(3).part(whole, 1).data_ptr() == whole[2:].data_ptr()
    assert UNFUSED.part(whole, 0) is whole


def test_sams_four_point_embeddings_are_joined() -> None:
    sam = "grounding_encoder.sam2_model.sam_prompt_encoder.point_embeddings."
    theirs = published(POINTS, _locate)
    assert [theirs[f"{sam}{k}.weight"].tolist() for k in (0, 3)] == [[[0, 1]], [[6, 7]]]


def test_missing_surplus_and_misshapen_tensors_are_named() -> None:
    wanted = {"a": torch.zeros(1), "b": torch.zeros(2)}
    with pytest.raises(CheckpointError) as caught:
        check_tensors(wanted, {"b": torch.zeros(3), "c": torch.zeros(1)})
    assert "missing 1: a; surplus 1: c; misshapen 1: b (3,) for (2,)" in str(caught.value)


def test_at_most_ten_tensors_are_named() -> None:
    with pytest.raises(CheckpointError) as caught:
        check_tensors({f"layer.{index:02}": torch.zeros(1) for index in range(99)}, {})
    assert "missing 99: layer.00, " in str(caught.value)
    assert str(caught.value).count("layer.") == NAMED


def test_matching_tensors_raise_nothing() -> None:
    check_tensors({"a": torch.zeros(1)}, {"a": torch.ones(1)})
