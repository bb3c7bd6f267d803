"""Laws of nano's configurations."""

from __future__ import annotations

from lab.training.nano_config import LANGUAGE_WIDTH, grounder_config, tracker_config


def test_grounder_and_tracker_have_the_same_image_encoder_and_mask_decoder() -> None:
    sam, tracker = grounder_config(300)["sam2_config"], tracker_config().to_dict()
    ours, theirs = sam["vision_config"]["backbone_config"], tracker["vision_config"]["backbone_config"]
    assert {name: theirs[name] for name in ours} == ours
    decoder = sam["mask_decoder_config"]
    assert {name: tracker["mask_decoder_config"][name] for name in decoder} == decoder


def test_a_window_with_its_questions_fits_into_the_language_models_positions() -> None:
    config = grounder_config(300)["llm_config"]
    assert config["max_position_embeddings"] >= 3 * 70 + 128
    assert config["hidden_size"] == LANGUAGE_WIDTH
