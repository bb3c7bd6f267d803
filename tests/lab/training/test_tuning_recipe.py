"""Laws of tuning, on a tiny checkpoint in the published layout, as large checkpoints have it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import DynamicCache

from engines.grounding.checkpoints import Sa2Va, build, image_tokens, load_sa2va, save_sa2va
from engines.grounding.keyframe_features import KeyframeFeatures
from engines.grounding.templates import make_template
from lab.training import tuning_recipe
from lab.training.curves import CURVES
from lab.training.nano_config import grounder_config
from lab.training.task_mixture import draw_shown
from lab.training.tokenizer import nano_tokenizer
from lab.training.tuning_batches import Sizes, TuningBatch, draw_tuning_batch
from lab.training.tuning_recipe import Learning, TuningRun, rate_at, train_tuning, tuning_lesson, written
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
    """Eyes of 128 px with a plain patch embedding beside a SAM-2 of 256 px: no two sizes are nano's alone."""
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


def tuned(published: Path, folder: Path, **asked: object) -> TuningRun:
    run = TuningRun(
        folder / "run", checkpoint=published, export=folder / "out", budget_s=0.01, pictures=1, expressions=2
    )
    return replace(run, judge_s=1e9, rate=1e-3, tell_steps=1, **asked)


def test_the_loss_of_a_batch_falls_as_it_is_learnt(checkpoint: Sa2Va) -> None:
    learning, batch = Learning(checkpoint.model), batch_for(checkpoint)
    adam = torch.optim.AdamW(learning.weights.values(), lr=1e-3)
    told = []
    for _ in range(8):
        lesson = tuning_lesson(checkpoint.model, batch)
        told.append(lesson.figures)
        lesson.loss.backward()
        adam.step()
        adam.zero_grad()
    assert told[-1]["loss"] < 0.7 * told[0]["loss"]
    assert told[-1]["said"] > told[0]["said"], "it says more of the answers"


@pytest.mark.parametrize("kind", KINDS)
def test_every_family_learns_from_windows_and_its_eyes_do_not(kind: str, tmp_path: Path) -> None:
    write(kind, tmp_path)
    model = load_sa2va(tmp_path).model
    batch = batch_for(load_sa2va(tmp_path), window=True)
    learning = Learning(model)
    before = {name: weight.detach().clone() for name, weight in model.state_dict().items()}
    adam = torch.optim.AdamW(learning.weights.values(), lr=3e-3)
    told = []
    for _ in range(3):
        lesson = tuning_lesson(model, batch)
        told.append(lesson.figures["loss"])
        lesson.loss.backward()
        adam.step()
        adam.zero_grad()
    assert told[-1] < told[0]
    changed = {name for name, weight in model.state_dict().items() if not torch.equal(weight, before[name])}
    eyes = ("mllm.model.vision_tower.", "mllm.model.visual.patch_embed.", "mllm.model.visual.blocks.")
    assert not [name for name in changed if name.startswith((*eyes, *FROZEN))]
    assert {"text_hidden_fcs.0.weight", "mllm.lm_head.weight"} <= changed
    assert any(name.startswith(INTO_THE_LANGUAGE_MODEL) for name in changed)


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_batch_says_is_what_the_service_would_hear(kind: str, tmp_path: Path) -> None:
    """Hidden states at `[SEG]` as `KeyframeFeatures` and `Prefix` have them of the same window."""
    write(kind, tmp_path)
    checkpoint = load_sa2va(tmp_path)
    model, batch = checkpoint.model, batch_for(checkpoint, window=True)
    with torch.no_grad():
        taught = model.forward_cached(written(model, batch), DynamicCache())
    row, _, seg = batch.pointed[0].tolist()
    starts = batch.packed.starts[row]
    first = max(start for start in starts if start <= seg)
    block = batch.packed.ids[row, first : seg + 1].tolist()
    shown = draw_shown(
        row, CURRICULUM[0], checkpoint.template, window=True, referring=3, side_px=checkpoint.sam_px
    )
    *earlier, now = shown.clip.frames
    frame = Frame(StreamId("s"), 0, now, 0.0, 0.0, Clock.ARRIVAL)
    with torch.no_grad():
        heard = KeyframeFeatures(checkpoint, Keyframe(frame, (), 0.0, tuple(earlier))).prefix(past=True).prefill([block])
    assert torch.allclose(heard.hidden[0, -1], taught[row, seg], atol=1e-4)


def test_what_is_drawn_counts(checkpoint: Sa2Va) -> None:
    """The same answers, with the masks the other way round."""
    batch = batch_for(checkpoint)
    with torch.no_grad():
        loss = tuning_lesson(checkpoint.model, batch).loss
        wrong = tuning_lesson(checkpoint.model, replace(batch, masks=1 - batch.masks)).loss
        nothing = replace(batch, masks=batch.masks[:0], pointed=batch.pointed[:0])
        said = tuning_lesson(checkpoint.model, nothing)
    assert loss != wrong
    assert said.loss < loss and said.figures["j/n"] == 0


def test_sam_and_the_eyes_are_frozen_and_the_rest_learns(published: Path, tmp_path: Path) -> None:
    before = load_sa2va(published).model.state_dict()
    after = train_tuning(tuned(published, tmp_path), lambda _: None).model.state_dict()
    changed = {name for name, weight in after.items() if not torch.equal(weight, before[name])}
    assert not [name for name in changed if name.startswith(FROZEN)]
    assert changed >= set(TUNED)


def test_what_is_exported_loads_and_is_what_was_learnt(published: Path, tmp_path: Path) -> None:
    learnt = train_tuning(tuned(published, tmp_path), lambda _: None)
    loaded = load_sa2va(tmp_path / "out")
    assert loaded.config == learnt.config
    exported = loaded.model.state_dict()
    assert all(
        torch.equal(exported[name], weight.half().float())
        for name, weight in learnt.model.state_dict().items()
    )


def test_a_run_goes_on_from_the_weights_that_learn_alone(published: Path, tmp_path: Path) -> None:
    first = train_tuning(tuned(published, tmp_path), lambda _: None)
    state = torch.load(tmp_path / "run" / "last.pt", weights_only=True)
    assert state["learning"].keys() == Learning(first.model).weights.keys()
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


def test_a_run_of_another_model_is_not_resumed(published: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    other = {"learning": {"text_hidden_fcs.0.weight": torch.zeros(1)}, "optimisers": [], "step": 1}
    torch.save(other, tmp_path / "run" / "last.pt")
    with pytest.raises(CheckpointError, match="other weights"):
        train_tuning(tuned(published, tmp_path), lambda _: None)


def test_held_out_scenes_are_measured_on_the_way(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning_recipe, "JUDGED_BATCHES", 2)
    told: list[dict[str, object]] = []
    train_tuning(replace(tuned(published, tmp_path), judge_s=0.0), told.append)
    assert told[0].keys() >= {"held_out_said", "held_out_j", "rung"}
    assert told[0]["level"] == CURRICULUM[-1].name


def test_a_checkpoint_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="nowhere"):
        train_tuning(tuned(tmp_path / "nowhere", tmp_path), lambda _: None)


def test_the_rate_warms_up_and_fades() -> None:
    assert 0 < rate_at(0.0) < rate_at(0.025) < rate_at(0.05) == 1.0
    assert rate_at(0.5) < 1.0 and rate_at(1.0) == pytest.approx(0.0)


def test_a_run_that_is_stopped_is_drawn_as_far_as_it_came(published: Path, tmp_path: Path) -> None:
    def stop(_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_tuning(tuned(published, tmp_path, budget_s=600.0), stop)
    assert "run: loss" in (tmp_path / "run" / CURVES).read_text()
