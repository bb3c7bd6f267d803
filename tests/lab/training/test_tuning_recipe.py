"""Laws of tuning, on tiny checkpoints in the published layouts."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from transformers import DynamicCache

from engines.grounding.checkpoints import Sa2Va, build, image_tokens, load_sa2va
from engines.grounding.keyframe_features import KeyframeFeatures
from engines.grounding.templates import make_template
from lab.training import tuning_recipe
from lab.training.curves import CURVES
from lab.training.export import save_sa2va
from lab.training.nano_config import grounder_config
from lab.training.task_mixture import draw_task_sample
from lab.training.tokenizer import nano_tokenizer
from lab.training.tuning_batches import Sizes, TuningBatch, draw_tuning_batch
from lab.training.tuning_recipe import (
    TrainableWeights,
    TuningRunConfig,
    language_inputs,
    lr_scale,
    train_tuning,
    tuning_loss,
)
from lab.training.world.levels import CURRICULUM
from streaming.errors import CheckpointError, NotFound
from streaming.vocabulary import Clock, Frame, Keyframe, StreamId
from tests.published import KINDS, write

INTO_THE_LANGUAGE_MODEL = ("mllm.model.multi_modal_projector.", "mllm.model.visual.merger.")
FROZEN = ("mllm.model.vision_tower.", "segmenter.vision_encoder.", "segmenter.prompt_encoder.")
TUNED = (
    "mllm.model.language_model.layers.0.self_attn.q_proj.weight",
    "mllm.model.language_model.embed_tokens.weight",
    "mllm.model.multi_modal_projector.linear_1.weight",
    "text_hidden_fcs.0.weight",
    "segmenter.mask_decoder.conv_s0.weight",
    "segmenter.mask_decoder.transformer.layers.0.mlp.proj_in.weight",
)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A vision tower of 128 px with a plain patch embedding, and a SAM-2 of 256 px: not nano's sizes."""
    tokenizer = nano_tokenizer()
    config = grounder_config(tokenizer.get_vocab_size())
    vision = {key: value for key, value in config["vision_config"].items() if key != "stem_widths"}
    config |= {
        "force_image_size": 128,
        "vision_config": {**vision, "image_size": 128, "num_hidden_layers": 2},
    }
    template = make_template(tokenizer, image_tokens(config))
    torch.manual_seed(3)
    folder = tmp_path_factory.mktemp("published")
    save_sa2va(Sa2Va(build(config, template.image_id), template, config), folder)
    return folder


@pytest.fixture
def checkpoint(published: Path) -> Sa2Va:
    return load_sa2va(published)


def batch_for(checkpoint: Sa2Va, *, window: bool = False) -> TuningBatch:
    sizes = Sizes.of(checkpoint, expressions=3)
    return draw_tuning_batch(range(2), checkpoint.template, CURRICULUM[0], window=window, sizes=sizes)


def tuned(published: Path, folder: Path, **settings: object) -> TuningRunConfig:
    config = TuningRunConfig(
        folder / "run", checkpoint=published, export=folder / "out", budget_s=0.01, images=1, expressions=2
    )
    return replace(config, validation_s=1e9, lr=1e-3, log_steps=1, **settings)


def test_steps_on_one_batch_reduce_its_loss(checkpoint: Sa2Va) -> None:
    trainable, batch = TrainableWeights(checkpoint.model), batch_for(checkpoint)
    adam = torch.optim.AdamW(trainable.weights.values(), lr=1e-3)
    metrics = []
    for _ in range(8):
        loss = tuning_loss(checkpoint.model, batch)
        metrics.append(loss.metrics)
        loss.value.backward()
        adam.step()
        adam.zero_grad()
    assert metrics[-1]["loss"] < 0.7 * metrics[0]["loss"]
    assert metrics[-1]["answer_tokens"] > metrics[0]["answer_tokens"]


@dataclass(frozen=True)
class Family:
    """A checkpoint of a family, and a batch of windows in its sizes."""

    folder: Path
    batch: TuningBatch


@pytest.fixture(scope="module", params=KINDS)
def family(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Family:
    folder = tmp_path_factory.mktemp("family")
    write(request.param, folder)
    return Family(folder, batch_for(load_sa2va(folder), window=True))


def test_every_family_trains_on_windows_with_a_frozen_vision_tower(family: Family) -> None:
    model, batch = load_sa2va(family.folder).model, family.batch
    trainable = TrainableWeights(model)
    before = {name: weight.detach().clone() for name, weight in model.state_dict().items()}
    adam = torch.optim.AdamW(trainable.weights.values(), lr=3e-3)
    losses = []
    for _ in range(3):
        loss = tuning_loss(model, batch)
        losses.append(loss.metrics["loss"])
        loss.value.backward()
        adam.step()
        adam.zero_grad()
    assert losses[-1] < losses[0]
    changed = {name for name, weight in model.state_dict().items() if not torch.equal(weight, before[name])}
    tower = ("mllm.model.vision_tower.", "mllm.model.visual.patch_embed.", "mllm.model.visual.blocks.")
    assert not [name for name in changed if name.startswith((*tower, *FROZEN))]
    assert {"text_hidden_fcs.0.weight", "mllm.lm_head.weight"} <= changed
    assert any(name.startswith(INTO_THE_LANGUAGE_MODEL) for name in changed)


def test_hidden_states_of_a_batch_are_those_of_the_service(family: Family) -> None:
    """Hidden states at `[SEG]` as `KeyframeFeatures` and `Prefix` have them of the same window."""
    checkpoint = load_sa2va(family.folder)
    model, batch = checkpoint.model, family.batch
    with torch.no_grad():
        batched = model.forward_cached(language_inputs(model, batch), DynamicCache())
    row, _, seg = batch.segs[0].tolist()
    starts = batch.packed.starts[row]
    first = max(start for start in starts if start <= seg)
    block = batch.packed.ids[row, first : seg + 1].tolist()
    sample = draw_task_sample(
        row, CURRICULUM[0], checkpoint.template, window=True, expressions=3, side_px=checkpoint.sam_px
    )
    *earlier, now = sample.clip.frames
    frame = Frame(StreamId("s"), 0, now, 0.0, 0.0, Clock.ARRIVAL)
    with torch.no_grad():
        served = (
            KeyframeFeatures(checkpoint, Keyframe(frame, (), 0.0, tuple(earlier)))
            .prefix(past=True)
            .prefill([block])
        )
    assert torch.allclose(served.hidden[0, -1], batched[row, seg], atol=1e-4)


def test_masks_are_part_of_the_loss(checkpoint: Sa2Va) -> None:
    """Compared with inverted masks, and with none."""
    batch = batch_for(checkpoint)
    with torch.no_grad():
        loss = tuning_loss(checkpoint.model, batch).value
        wrong = tuning_loss(checkpoint.model, replace(batch, masks=1 - batch.masks)).value
        without = replace(batch, masks=batch.masks[:0], segs=batch.segs[:0])
        language = tuning_loss(checkpoint.model, without)
    assert loss != wrong
    assert language.value < loss and language.metrics["j/n"] == 0


def test_sam_and_the_vision_tower_are_frozen_and_the_rest_is_trained(published: Path, tmp_path: Path) -> None:
    before = load_sa2va(published).model.state_dict()
    after = train_tuning(tuned(published, tmp_path), lambda _: None).model.state_dict()
    changed = {name for name, weight in after.items() if not torch.equal(weight, before[name])}
    assert not [name for name in changed if name.startswith(FROZEN)]
    assert changed >= set(TUNED)


def test_the_export_loads_with_the_trained_weights(published: Path, tmp_path: Path) -> None:
    trained = train_tuning(tuned(published, tmp_path), lambda _: None)
    loaded = load_sa2va(tmp_path / "out")
    assert loaded.config == trained.config
    exported = loaded.model.state_dict()
    assert all(
        torch.equal(exported[name], weight.half().float())
        for name, weight in trained.model.state_dict().items()
    )


def test_a_run_resumes_from_the_trainable_weights_alone(published: Path, tmp_path: Path) -> None:
    first = train_tuning(tuned(published, tmp_path), lambda _: None)
    state = torch.load(tmp_path / "run" / "last.pt", weights_only=True)
    assert state["trainable"].keys() == TrainableWeights(first.model).weights.keys()
    again = train_tuning(tuned(published, tmp_path), lambda _: None)
    assert state["step"] == 1
    assert all(
        torch.equal(weight, first.model.state_dict()[name])
        for name, weight in again.model.state_dict().items()
    )
    further = tuned(published, tmp_path, budget_s=state["spent_s"] + 0.01)
    train_tuning(further, lambda _: None)
    entries = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [entry["session"] for entry in entries if "session" in entry] == [0, 1, 2]
    assert [entry["step"] for entry in entries if "step" in entry] == [1, 2]


def test_a_checkpoint_of_another_model_is_an_error(published: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    other = {"trainable": {"text_hidden_fcs.0.weight": torch.zeros(1)}, "optimisers": [], "step": 1}
    torch.save(other, tmp_path / "run" / "last.pt")
    with pytest.raises(CheckpointError, match="other weights"):
        train_tuning(tuned(published, tmp_path), lambda _: None)


def test_validations_are_logged(published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning_recipe, "VALIDATION_BATCHES", 2)
    log: list[dict[str, object]] = []
    train_tuning(replace(tuned(published, tmp_path), validation_s=0.0), log.append)
    assert log[0].keys() >= {"held_out_answer_tokens", "held_out_j"}
    assert log[0]["level"] == CURRICULUM[-1].name


def test_a_missing_checkpoint_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="nowhere"):
        train_tuning(tuned(tmp_path / "nowhere", tmp_path), lambda _: None)


def test_the_learning_rate_warms_up_and_decays_to_0() -> None:
    assert 0 < lr_scale(0.0) < lr_scale(0.025) < lr_scale(0.05) == 1.0
    assert lr_scale(0.5) < 1.0 and lr_scale(1.0) == pytest.approx(0.0)


def test_the_curves_of_an_interrupted_run_are_drawn(published: Path, tmp_path: Path) -> None:
    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_tuning(tuned(published, tmp_path, budget_s=600.0), interrupt)
    assert "run: loss" in (tmp_path / "run" / CURVES).read_text()
