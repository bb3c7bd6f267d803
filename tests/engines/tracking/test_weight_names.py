"""Official and transformers tensor names: every tensor has one of each."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from engines.grounding.weights import on_meta_device
from engines.tracking.families import build_model, published_config
from engines.tracking.weight_names import from_official, official_name, to_official
from tests.edgetam import edge_model

REAL = Path(__file__).parents[3] / "../shared/data/weights/sam2_hiera_tiny_image.safetensors"
SIZES = ("t", "s", "b+", "l")


def official_tensors(version: str, size: str) -> dict[str, Tensor]:
    """Names and shapes in the official package's model."""
    if importlib.util.find_spec("sam2") is None:
        pytest.skip("the package sam2 is not installed: `make test` does that")
    from sam2.build_sam import build_sam2_video_predictor

    with on_meta_device():
        predictor = build_sam2_video_predictor(
            f"configs/sam{version}/sam{version}_hiera_{size}.yaml", None, device="meta"
        )
    return dict(predictor.state_dict())


@pytest.mark.parametrize("version", ["2", "2.1"])
@pytest.mark.parametrize("size", SIZES)
def test_every_tensor_of_every_official_model_is_mapped(version: str, size: str) -> None:
    official = official_tensors(version, size)
    with torch.device("meta"):
        wanted = build_model(published_config(official)).state_dict()
    found, left = from_official(wanted, official)
    assert not left and found.keys() == wanted.keys()
    assert not [name for name in wanted if found[name].shape != wanted[name].shape]


EDGE_NAMES = [
    "image_encoder.trunk.body.stem.conv1.c.weight",
    "image_encoder.trunk.body.stages_1.downsample.pre_block.token_mixer.conv1.bn.num_batches_tracked",
    "image_encoder.trunk.body.stages_2.blocks.1.channel_mixer.conv2.bn.running_var",
    "image_encoder.trunk.body.stages_3.blocks.0.se.fc2.bias",
    "image_encoder.neck.convs.3.conv.weight",
    "memory_attention.layers.0.linear1.weight",
    "memory_attention.layers.1.cross_attn_image.out_proj.bias",
    "memory_attention.layers.1.norm3.weight",
    "spatial_perceiver.latents",
    "spatial_perceiver.latents_2d",
    "spatial_perceiver.layers.0.attn.norm_x.weight",
    "spatial_perceiver.layers.0.attn.norm_latents.bias",
    "spatial_perceiver.layers.0.attn.to_q.weight",
    "spatial_perceiver.layers.0.attn.to_kv.weight",
    "spatial_perceiver.layers.0.attn.to_out.weight",
    "spatial_perceiver.layers.1.ff.0.weight",
    "spatial_perceiver.layers.1.ff.1.weight",
    "spatial_perceiver.layers.1.ff.3.weight",
    "spatial_perceiver.layers.1.self_attn.norm.weight",
    "spatial_perceiver.layers.1.self_attn.to_kv.weight",
    "spatial_perceiver.layers.1.self_attn.to_out.weight",
    "spatial_perceiver.layers.1.self_ff.0.bias",
    "spatial_perceiver.layers.1.self_ff.3.weight",
    "spatial_perceiver.norm.bias",
    "memory_encoder.fuser.layers.1.gamma",
    "memory_encoder.mask_downsampler.encoder.12.weight",
    "sam_mask_decoder.pred_obj_score_head.layers.2.bias",
    "obj_ptr_proj.layers.0.weight",
    "maskmem_tpos_enc",
]
"""Examples of each module, by their names in facebookresearch/EdgeTAM (sam2/modeling, timm's RepViT)."""


def test_edgetams_tensors_have_the_official_names() -> None:
    official = to_official(edge_model().state_dict())
    assert not set(EDGE_NAMES) - official.keys()
    strange = (
        "vision_encoder",
        "layer_norm",
        "timm_model",
        "up_proj",
        "cross_attention",
        "k_proj.0",
        "latents_1d",
    )
    assert not [name for name in official if any(word in name for word in strange)]


def test_from_official_inverts_to_official() -> None:
    state = edge_model().state_dict()
    official = to_official(state)
    found, left = from_official(state, official)
    assert not left and found.keys() == state.keys()
    assert all(torch.equal(found[name], state[name]) for name in state)
    query = "spatial_perceiver.layers.0.attn.to_"
    assert official[query + "kv.weight"].shape[0] == 2 * official[query + "q.weight"].shape[0]


def test_every_tensor_of_metas_checkpoint_is_mapped() -> None:
    if not REAL.is_file():
        pytest.skip(f"no real weights at {REAL}")
    real = {name: tensor for name, tensor in load_file(REAL).items() if name != "_pos_embed_1024_nhwc"}
    with torch.device("meta"):
        wanted = to_official(build_model(published_config(real)).state_dict())
    assert len(real) == 303
    assert not real.keys() - wanted.keys()
    assert not [name for name in real if real[name].shape != wanted[name].shape]


def test_two_modules_share_the_one_official_position_matrix() -> None:
    matrix = "sam_prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"
    assert official_name("shared_image_embedding.positional_embedding") == matrix
    assert official_name("prompt_encoder.shared_embedding.positional_embedding") == matrix


def test_incomplete_point_embeddings_are_left_over() -> None:
    state = edge_model().state_dict()
    official = to_official(state)
    del official["sam_prompt_encoder.point_embeddings.2.weight"]
    found, left = from_official(state, official)
    assert state.keys() - found.keys() == {"prompt_encoder.point_embed.weight"}
    assert len(left) == 3
