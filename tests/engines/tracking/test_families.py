"""Model families: configurations from tensors and files, and image sizes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import EdgeTamVideoConfig, EdgeTamVideoModel, Sam2VideoConfig

from engines.tracking.families import (
    FAMILY_NAMES,
    TrackerConfig,
    build_model,
    config_from,
    family_config,
    family_name,
    published_config,
    with_image_size,
)
from lab.training.nano_config import tracker_config
from streaming.errors import CheckpointError, InvalidSettings
from tests.edgetam import SIDE, edge_config

TIMM = {"model_type": "timm_wrapper", "architecture": "repvit_m1.dist_in1k", "model_args": {"in_chans": 3}}


def hiera(width: int, blocks: int, *more: str) -> dict[str, Tensor]:
    """The part of an official state dict that identifies the model."""
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
def test_the_size_is_derived_from_the_tensors_of_an_official_file(
    width: int, blocks: int, last: int, heads: int
) -> None:
    config: Any = published_config(hiera(width, blocks))
    backbone = config.vision_config.backbone_config
    assert sum(backbone.blocks_per_stage) == blocks and backbone.embed_dim_per_stage[-1] == last
    assert config.vision_config.backbone_channel_list[0] == last
    assert backbone.num_attention_heads == heads and config.image_size == 1024


def test_sam_2_1_is_identified_by_its_additional_tensors() -> None:
    older: Any = published_config(hiera(96, 12))
    newer: Any = published_config(hiera(96, 12, "obj_ptr_tpos_proj.weight", "no_obj_embed_spatial"))
    for config, expected in ((older, False), (newer, True)):
        assert config.enable_temporal_pos_encoding_for_object_pointers is expected
        assert config.enable_occlusion_spatial_embedding is expected


@pytest.mark.parametrize("name", FAMILY_NAMES)
def test_the_family_name_does_not_depend_on_the_image_size(name: str) -> None:
    config = family_config(name)
    assert family_name(config) == family_name(with_image_size(config, 512)) == name


def test_a_family_name_and_an_official_file_give_the_same_configuration() -> None:
    newer = ("obj_ptr_tpos_proj.weight", "no_obj_embed_spatial")
    assert family_config("sam2.1-tiny").to_dict() == published_config(hiera(96, 12, *newer)).to_dict()
    assert family_config("sam2-large").to_dict() == published_config(hiera(144, 48)).to_dict()


def test_nano_has_no_family_name() -> None:
    assert family_name(tracker_config()) is None


def test_edgetam_is_identified_by_its_backbone() -> None:
    config: Any = published_config({"image_encoder.trunk.body.stem.conv1.c.weight": torch.zeros(24, 3, 3, 3)})
    assert isinstance(config, EdgeTamVideoConfig)
    assert list(config.vision_config.backbone_config.widths) == [48, 96, 192, 384]
    assert not config.enable_temporal_pos_encoding_for_object_pointers


@pytest.mark.parametrize("tensors", [{}, hiera(96, 13), hiera(100, 12)])
def test_tensors_of_an_unknown_model_are_refused(tensors: dict[str, Tensor]) -> None:
    with pytest.raises(CheckpointError, match="not those of a published SAM-2"):
        published_config(tensors)


def test_a_timm_backbone_is_replaced_by_our_repvit() -> None:
    config: Any = config_from(edge_config().to_dict() | {"vision_config": {"backbone_config": TIMM}})
    assert config.vision_config.backbone_config.model_type == "saccade_repvit"
    with torch.device("meta"):
        assert isinstance(build_model(config), EdgeTamVideoModel)


def test_an_unsupported_backbone_is_named_in_the_error() -> None:
    other = {"vision_config": {"backbone_config": TIMM | {"architecture": "resnet50"}}}
    with pytest.raises(ValueError, match="resnet50"):
        config_from(edge_config().to_dict() | other)


@pytest.mark.parametrize("config", [edge_config(), tracker_config()], ids=["edgetam", "sam2"])
def test_another_image_size_changes_no_weight(config: TrackerConfig) -> None:
    larger: Any = with_image_size(config, 2 * SIDE)
    assert type(larger) is type(config)
    with torch.device("meta"):
        one, other = build_model(config).state_dict(), build_model(larger).state_dict()
    assert {name: one[name].shape for name in one} == {name: other[name].shape for name in other}
    assert larger.image_size == larger.prompt_encoder_config.image_size == 2 * SIDE
    assert larger.vision_config.backbone_feature_sizes[-1] == [2 * SIDE // 16] * 2
    assert larger.memory_attention_rope_feat_sizes == [2 * SIDE // 16] * 2


@pytest.mark.parametrize(
    ("config", "side_px", "step"),
    [(tracker_config(), 500, 32), (tracker_config(), 0, 32), (edge_config(), 160, 64)],
)
def test_an_unsupported_image_size_is_refused_with_the_supported_ones(
    config: Sam2VideoConfig | EdgeTamVideoConfig, side_px: int, step: int
) -> None:
    with pytest.raises(InvalidSettings, match=f"multiple of {step}"):
        with_image_size(config, side_px)
