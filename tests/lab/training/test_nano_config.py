"""Laws of nano's shapes."""

from __future__ import annotations

from lab.training.nano_config import READER_WIDTH, grounder_config, tracker_config


def test_who_draws_has_the_eyes_and_the_hand_of_who_follows() -> None:
    sam, tracker = grounder_config(300)["sam2_config"], tracker_config().to_dict()
    ours, theirs = sam["vision_config"]["backbone_config"], tracker["vision_config"]["backbone_config"]
    assert {name: theirs[name] for name in ours} == ours
    hand = sam["mask_decoder_config"]
    assert {name: tracker["mask_decoder_config"][name] for name in hand} == hand


def test_a_window_and_its_questions_fit_into_what_the_reader_was_made_for() -> None:
    config = grounder_config(300)["llm_config"]
    assert config["max_position_embeddings"] >= 3 * 70 + 128
    assert config["hidden_size"] == READER_WIDTH
