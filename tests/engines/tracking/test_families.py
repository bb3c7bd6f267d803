"""Which model a checkpoint holds, and at which sizes it looks."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import EdgeTamVideoConfig, EdgeTamVideoModel, Sam2VideoConfig

from engines.tracking.families import (
    FAMILY_NAMES,
    TrackerConfig,
    config_from,
    family_config,
    family_name,
    model_of,
    published_config,
    resized,
)
from lab.training.nano_config import tracker_config
from streaming.errors import CheckpointError, InvalidSettings
from tests.edgetam import SIDE, edge_config

TIMM = {"model_type": "timm_wrapper", "architecture": "repvit_m1.dist_in1k", "model_args": {"in_chans": 3}}


def hiera(width: int, blocks: int, *more: str) -> dict[str, Tensor]:
    """As much of an official state dict as tells what it is of."""
    trunk = "image_encoder.trunk."
    names = [f"{trunk}blocks.{index}.norm1.weight" for index in range(blocks)] + list(more)
    return {
        f"{trunk}patch_embed.proj.weight": torch.zeros(width, 3, 7, 7),
        **dict.fromkeys(names, torch.zeros(1)),
    }


@pytest.mark.parametrize(
    ("width", "blocks", "last", "heads"),
    [(96, 12, 768, 1), (96, 16, 768, 1), (112, 24, 896, 2), (144, 48, 1152, 2)],
)
def test_the_tensors_of_an_official_file_tell_its_size(
    width: int, blocks: int, last: int, heads: int
) -> None:
    config: Any = published_config(hiera(width, blocks))
    backbone = config.vision_config.backbone_config
    assert sum(backbone.blocks_per_stage) == blocks and backbone.embed_dim_per_stage[-1] == last
    assert config.vision_config.backbone_channel_list[0] == last
    assert backbone.num_attention_heads == heads and config.image_size == 1024


def test_sam_2_1_is_known_by_what_it_has_over_2_0() -> None:
    older: Any = published_config(hiera(96, 12))
    newer: Any = published_config(hiera(96, 12, "obj_ptr_tpos_proj.weight", "no_obj_embed_spatial"))
    for config, expected in ((older, False), (newer, True)):
        assert config.enable_temporal_pos_encoding_for_object_pointers is expected
        assert config.enable_occlusion_spatial_embedding is expected


@pytest.mark.parametrize("name", FAMILY_NAMES)
def test_a_published_model_has_a_name_at_any_side(name: str) -> None:
    config = family_config(name)
    assert family_name(config) == family_name(resized(config, 512)) == name


def test_a_name_and_an_official_file_mean_the_same() -> None:
    newer = ("obj_ptr_tpos_proj.weight", "no_obj_embed_spatial")
    assert family_config("sam2.1-tiny").to_dict() == published_config(hiera(96, 12, *newer)).to_dict()
    assert family_config("sam2-large").to_dict() == published_config(hiera(144, 48)).to_dict()


def test_nano_is_no_published_model() -> None:
    assert family_name(tracker_config()) is None


def test_edgetam_is_known_by_its_backbone() -> None:
    config: Any = published_config({"image_encoder.trunk.body.stem.conv1.c.weight": torch.zeros(24, 3, 3, 3)})
    assert isinstance(config, EdgeTamVideoConfig)
    assert list(config.vision_config.backbone_config.widths) == [48, 96, 192, 384]
    assert not config.enable_temporal_pos_encoding_for_object_pointers


@pytest.mark.parametrize("tensors", [{}, hiera(96, 13), hiera(100, 12)])
def test_tensors_of_no_published_model_are_refused(tensors: dict[str, Tensor]) -> None:
    with pytest.raises(CheckpointError, match="no published SAM-2"):
        published_config(tensors)


def test_a_configuration_of_transformers_gets_our_backbone_in_place_of_timms() -> None:
    config: Any = config_from(edge_config().to_dict() | {"vision_config": {"backbone_config": TIMM}})
    assert config.vision_config.backbone_config.model_type == "saccade_repvit"
    with torch.device("meta"):
        assert isinstance(model_of(config), EdgeTamVideoModel)


def test_a_backbone_that_we_do_not_have_is_named() -> None:
    other = {"vision_config": {"backbone_config": TIMM | {"architecture": "resnet50"}}}
    with pytest.raises(ValueError, match="resnet50"):
        config_from(edge_config().to_dict() | other)


@pytest.mark.parametrize("config", [edge_config(), tracker_config()], ids=["edgetam", "sam2"])
def test_another_size_changes_the_pictures_and_no_weight(config: TrackerConfig) -> None:
    larger: Any = resized(config, 2 * SIDE)
    assert type(larger) is type(config)
    with torch.device("meta"):
        one, other = model_of(config).state_dict(), model_of(larger).state_dict()
    assert {name: one[name].shape for name in one} == {name: other[name].shape for name in other}
    assert larger.image_size == larger.prompt_encoder_config.image_size == 2 * SIDE
    assert larger.vision_config.backbone_feature_sizes[-1] == [2 * SIDE // 16] * 2
    assert larger.memory_attention_rope_feat_sizes == [2 * SIDE // 16] * 2


@pytest.mark.parametrize(
    ("config", "side_px", "step"),
    [(tracker_config(), 500, 32), (tracker_config(), 0, 32), (edge_config(), 160, 64)],
)
def test_a_size_that_a_model_cannot_take_is_refused_with_those_it_can(
    config: Sam2VideoConfig | EdgeTamVideoConfig, side_px: int, step: int
) -> None:
    with pytest.raises(InvalidSettings, match=f"multiple of {step}"):
        resized(config, side_px)
