"""The configurations of nano's tracker and grounder, in the layouts of published checkpoints.

Both contain the same SAM-2 image encoder and mask decoder, so that the grounder can start from the tracker's
weights (`trainable_grounder.copy_tracker_weights`).
"""

from __future__ import annotations

from typing import Any, Final

from transformers import Sam2VideoConfig

SIDE_PX: Final = 256
"Side of the square image that SAM-2 takes, in both models."
VISION_SIDE_PX: Final = 384
"Side of the square image that the vision tower takes."
STEM_WIDTHS: Final = (32, 64, 160)
"Channels of the vision tower's convolutional stem at strides 4, 8 and 16."
STEM_BLOCKS: Final = (1, 3, 3)
"Residual blocks of the stem at these strides."
PATCH_GRID: Final = VISION_SIDE_PX // 16
"Side of the vision tower's patch grid."
VISION_WIDTH: Final = 160
"Channels of the vision tower."
LANGUAGE_WIDTH: Final = 160
"Channels of the language model."
PROMPT_WIDTH: Final = 128
"Channels of prompt embeddings and of SAM-2's feature maps."


def tracker_config() -> Sam2VideoConfig:
    """Return the tracker's: 256 px, 1.9 M parameters, 2 conditioning and 4 recent memories."""
    return Sam2VideoConfig(
        **_sam2_config(),
        image_size=SIDE_PX,
        num_maskmem=5,
        max_object_pointers_in_encoder=7,
        max_cond_frame_num=2,
        multimask_output_in_sam=False,
        multimask_output_for_tracking=False,
        memory_attention_hidden_size=128,
        memory_attention_num_layers=1,
        memory_attention_feed_forward_hidden_size=256,
        memory_attention_rope_feat_sizes=[16, 16],
        memory_attention_dropout=0.0,
        memory_attention_rope_dropout=0.0,
        memory_encoder_hidden_size=128,
        mask_downsampler_embed_dim=128,
        mask_downsampler_kernel_size=4,
        mask_downsampler_stride=4,
        mask_downsampler_padding=0,
        memory_fuser_num_layers=1,
        memory_fuser_embed_dim=128,
        memory_fuser_intermediate_dim=256,
    )


def grounder_config(vocabulary: int) -> dict[str, Any]:
    """Return the grounder's `config.json` as Sa2VA publishes it, for a number of tokens.

    `stem_widths` and `sam2_config` are additions of this project.
    """
    return {
        "architectures": ["Sa2VAChatModel"],
        "model_type": "sa2va_chat",
        "template": "qwen_chat",
        "select_layer": -1,
        "force_image_size": VISION_SIDE_PX,
        "downsample_ratio": 0.5,
        "ps_version": "v2",
        "dynamic_image_size": False,
        "use_thumbnail": False,
        "vision_config": {
            "hidden_size": VISION_WIDTH,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "intermediate_size": 480,
            "image_size": VISION_SIDE_PX,
            "patch_size": 16,
            "qkv_bias": True,
            "qk_normalization": False,
            "norm_type": "layer_norm",
            "layer_norm_eps": 1e-6,
            "initializer_range": 0.06,
            "initializer_factor": 1.0,
            "stem_widths": list(STEM_WIDTHS),
            "stem_blocks": list(STEM_BLOCKS),
        },
        "llm_config": {
            "architectures": ["Qwen2ForCausalLM"],
            "model_type": "qwen2",
            "hidden_size": LANGUAGE_WIDTH,
            "intermediate_size": 480,
            "num_hidden_layers": 5,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "vocab_size": vocabulary,
            "max_position_embeddings": 1024,
            "initializer_range": 0.06,
            "tie_word_embeddings": True,
        },
        "sam2_config": _sam2_config(),
    }


def _sam2_config() -> dict[str, Any]:
    """Return the part that both share: SAM-2's image encoder, prompt encoder and mask decoder."""
    return {
        "vision_config": {
            "model_type": "sam2_vision_model",
            "backbone_config": {
                "model_type": "sam2_hiera_det_model",
                "hidden_size": 32,
                "image_size": [SIDE_PX, SIDE_PX],
                "blocks_per_stage": [1, 2, 4, 1],
                "embed_dim_per_stage": [32, 64, 96, 128],
                "num_attention_heads_per_stage": [1, 2, 3, 4],
                "window_size_per_stage": [8, 4, 16, 8],
                "global_attention_blocks": [],
                "window_positional_embedding_background_size": [8, 8],
            },
            "backbone_channel_list": [128, 96, 64, 32],
            "backbone_feature_sizes": [[64, 64], [32, 32], [16, 16]],
            "fpn_hidden_size": PROMPT_WIDTH,
        },
        "prompt_encoder_config": {"hidden_size": PROMPT_WIDTH, "image_size": SIDE_PX},
        "mask_decoder_config": {
            "hidden_size": PROMPT_WIDTH,
            "mlp_dim": 256,
            "num_attention_heads": 4,
            "iou_head_hidden_dim": 128,
            "dynamic_multimask_via_stability": False,
        },
    }
