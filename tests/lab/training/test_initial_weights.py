"""Laws of the initial weights of layers, of nano's tracker and of its grounder."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from engines.grounding.checkpoints import load_sa2va
from engines.tracking.checkpoints import load_tracker_weights
from lab.training import initial_weights
from lab.training.initial_weights import (
    VISION_TOWER,
    copy_language,
    init_layers,
    initial_grounder,
    initial_tracker,
    tracker_from,
)
from lab.training.nano_config import PATCH_GRID, tracker_config
from lab.training.trainable_tracker import TrainableTracker
from streaming.errors import CheckpointError

WORDS = "mllm.model.language_model.embed_tokens.weight"


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Linear(400, 300), (64, 400)),
        (nn.Conv2d(64, 96, 3), (4, 64, 8, 8)),
        (nn.ConvTranspose2d(256, 64, 2, 2), (4, 256, 8, 8)),
    ],
)
def test_a_layer_keeps_the_standard_deviation_of_its_input(layer: nn.Module, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    init_layers(layer)
    with torch.no_grad():
        assert float(layer(torch.randn(shape)).std()) == pytest.approx(1.0, abs=0.15)


def test_embeddings_have_a_standard_deviation_of_one_half_and_norms_are_unchanged() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(100, 64), nn.LayerNorm(64))
    init_layers(model)
    assert float(model[0].weight.detach().std()) == pytest.approx(0.5, abs=0.05)
    assert bool((model[1].weight == 1).all())


def test_all_of_a_trained_grounder_is_kept_but_its_vision_tower() -> None:
    trained, fresh = load_sa2va("nano").model.state_dict(), initial_grounder(1).model.state_dict()
    model = initial_grounder(1).model
    copy_language(model, "nano")
    kept = model.state_dict()
    words = len(trained[WORDS])
    assert torch.equal(kept[WORDS][:words], trained[WORDS])
    assert torch.equal(kept[WORDS][words:], fresh[WORDS][words:]), "new words keep their own"
    for name, weight in kept.items():
        if name.startswith(VISION_TOWER):
            assert torch.equal(weight, fresh[name]), name
        elif weight.shape == trained[name].shape:
            assert torch.equal(weight, trained[name]), name


def test_a_grounder_of_another_shape_is_refused() -> None:
    model = initial_grounder(1).model
    model.text_hidden_fcs = nn.Linear(8, 8)
    with pytest.raises(CheckpointError, match="not of nano's shape"):
        copy_language(model, "nano")


# --- tracker --------------------------------------------------------------------------------------


TEMPORAL = "memory_temporal_positional_encoding"


def test_a_tracker_to_go_on_from_has_the_checkpoints_weights() -> None:
    stored, loaded = load_tracker_weights("nano").model.state_dict(), tracker_from("nano").state_dict()
    assert stored.keys() == loaded.keys()
    assert all(torch.equal(stored[name], loaded[name]) for name in stored if name != TEMPORAL)


def test_memories_that_a_checkpoint_lacks_start_as_its_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    config, rows = tracker_config(), load_tracker_weights("nano").model.state_dict()[TEMPORAL]
    config.num_maskmem = len(rows) + 2
    monkeypatch.setattr(initial_weights, "tracker_config", lambda: config)
    wider = tracker_from("nano").state_dict()[TEMPORAL]
    assert torch.equal(wider, torch.stack([*rows[:-1], rows[-2], rows[-2], rows[-1]]))


def test_a_tracker_of_another_shape_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    narrower, fewer = tracker_config(), tracker_config()
    narrower.memory_attention_feed_forward_hidden_size = 64
    fewer.num_maskmem -= 1
    for config, message in ((narrower, "not of nano's shape"), (fewer, "1 more memories")):
        monkeypatch.setattr(initial_weights, "tracker_config", lambda config=config: config)
        with pytest.raises(CheckpointError, match=message):
            tracker_from("nano")


def test_the_tracker_has_about_two_million_parameters() -> None:
    parameters = sum(weight.numel() for weight in initial_tracker().parameters())
    assert 1.5e6 < parameters < 2.3e6


def test_equal_seeds_give_equal_trackers() -> None:
    one, other = initial_tracker(2).state_dict(), initial_tracker(2).state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_memory_attention_scores_the_querys_own_position_highest() -> None:
    with torch.no_grad():
        tracker = TrainableTracker(initial_tracker(1))
        attention = tracker.track.attention
        cross = attention.blocks[0].cross_attn_image
        query = attention._query(cross.q_proj, torch.zeros(1, 256, 128))
        (key,) = attention._keys(cross, torch.zeros(1, 1, 256, 64), torch.zeros(1, 0, 64))
        assert torch.equal((query @ key.transpose(1, 2))[0].argmax(dim=1), torch.arange(256))


# --- grounder -------------------------------------------------------------------------------------


def test_the_grounder_has_about_five_million_parameters() -> None:
    parameters = sum(weight.numel() for weight in initial_grounder().model.parameters())
    assert 3e6 < parameters < 6e6


def test_equal_seeds_give_equal_grounders() -> None:
    one, other = (initial_grounder(2).model.state_dict() for _ in range(2))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_position_embeddings_of_neighbouring_patches_are_similar() -> None:
    tower = initial_grounder().model.mllm.model.vision_tower
    positions = tower.embeddings.position_embeddings.detach()[0, 1:]
    center = positions[8 * PATCH_GRID + 8]
    similarity = functional.cosine_similarity(positions, center[None], dim=1).view(PATCH_GRID, PATCH_GRID)
    assert float(similarity[8, 9]) > float(similarity[8, 14])
    assert float(similarity[9, 8]) > float(similarity[14, 8])
