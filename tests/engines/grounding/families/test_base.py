"""Laws of every family: published checkpoints load completely and compute what the published code does."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from engines.grounding.checkpoints import RunOptions, Sa2Va, load_sa2va
from engines.grounding.families.base import TEXT_KEYS, only, part
from engines.grounding.generation import generate
from engines.grounding.grounder import SaGrounder, load_grounder
from engines.grounding.image_processing import normalise
from engines.grounding.keyframe_features import KeyframeFeatures
from lab.training.export import to_published
from streaming.errors import CheckpointError, InvalidQuery
from streaming.vocabulary import Clock, Frame, Keyframe, Pixels, Query, QueryId, QueryKind, StreamId
from tests import published, sa2va_reference


@dataclass(frozen=True)
class Case:
    """The tensors of a published checkpoint, and the loaded model."""

    kind: str
    tensors: dict[str, Tensor]
    loaded: Sa2Va


@pytest.fixture(scope="module", params=published.KINDS)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp(request.param)
    return Case(request.param, published.write(request.param, folder), load_sa2va(folder))


@pytest.fixture(scope="module")
def pixels() -> Pixels:
    return np.random.default_rng(0).integers(0, 255, (90, 160, 3), dtype=np.uint8)


def _features(case: Case, pixels: Pixels) -> KeyframeFeatures:
    frame = Frame(StreamId("cam"), 1, pixels, pts_s=0.0, captured_s=0.0, clock=Clock.ARRIVAL)
    return KeyframeFeatures(case.loaded, Keyframe(frame, (), 1.0))


def _question(case: Case) -> list[int]:
    template = case.loaded.template
    return [*template.segment_question("the red star"), *template.answer]


def _reference_hidden(case: Case, pixels: Pixels, behind: list[int]) -> Tensor:
    """Reference hidden states of `behind`, read after the image."""
    checkpoint, config = case.loaded, case.loaded.config
    tiles = checkpoint.model.family.preprocess(pixels, 1)[0]
    if case.kind.startswith("internvl"):
        tokens = sa2va_reference.intern_vit(case.tensors, config["vision_config"], tiles)
        ids = torch.tensor([*checkpoint.template.prefix_for([len(tokens)]), *behind])
        return _reference_language_model(case, ids, tokens)[-len(behind) :]
    tokens, deep = sa2va_reference.qwen_vision(case.tensors, config["vision_config"], tiles)
    ids = torch.tensor([*checkpoint.template.prefix_for([len(tokens)]), *behind])
    image = (ids == checkpoint.template.image_id).nonzero()[:, 0]
    written = case.tensors["model.model.language_model.embed_tokens.weight"][ids].clone()
    written[image] = tokens
    cell = 2 * config["vision_config"]["patch_size"]
    places = _position_ids(len(ids), int(image[0]), tiles.shape[1] // cell, tiles.shape[2] // cell)
    hidden = sa2va_reference.qwen_language_model(
        case.tensors,
        _READER,
        config["text_config"],
        written,
        sa2va_reference.multi_axis_rotary(config["text_config"], places),
        [(image, level) for level in deep],
    )[-len(behind) :]
    return hidden if case.kind == "qwen3_vl" else _final_norm(case, hidden)


def _final_norm(case: Case, hidden: Tensor) -> Tensor:
    """Final norm of Qwen-VL. With Qwen3-VL, Sa2VA takes the `[SEG]` hidden state before it."""
    return sa2va_reference.rms(hidden, case.tensors[f"{_READER}norm.weight"])


_READER = "model.model.language_model."
REGIONS = (np.tri(90, 160, k=-20, dtype=bool), np.tri(90, 160, k=60, dtype=bool))


def test_visual_prompts_equal_the_published_algorithm(case: Case, pixels: Pixels) -> None:
    """Tokens of the thumbnail are repeated after all tiles; only the InternVL family has visual prompts."""
    config, template, features = case.loaded.config, case.loaded.template, _features(case, pixels)
    question = template.user_question("what is region1")
    if not case.kind.startswith("internvl"):
        with pytest.raises(InvalidQuery, match="InternVL"):
            features.regions_prefix(REGIONS)
        return
    tiles = case.loaded.model.family.preprocess(pixels, 1)[0]
    tokens = sa2va_reference.intern_vit(case.tensors, config["vision_config"], tiles)
    selected = [
        torch.nn.functional.interpolate(torch.tensor(region)[None, None].float(), (2, 2))[0, 0].flatten() > 0
        for region in REGIONS
    ]
    prefix = [*template.prefix_for([4]), *template.region_intro([int(one.sum()) for one in selected])]
    ids = torch.tensor([*prefix, *question])
    image_tokens = torch.cat([tokens, *(tokens[one] for one in selected)])
    hidden = _reference_language_model(case, ids, image_tokens)[-len(question) :]
    torch.testing.assert_close(
        features.regions_prefix(REGIONS).prefill([question]).hidden[0], hidden, atol=1e-4, rtol=0
    )


def _reference_language_model(case: Case, ids: Tensor, tokens: Tensor) -> Tensor:
    """Reference hidden states of ids with image tokens, by InternVL's language model."""
    written = next(t for n, t in case.tensors.items() if "embed_tokens" in n or "tok_embeddings" in n)[
        ids
    ].clone()
    written[ids == case.loaded.template.image_id] = tokens
    text = case.loaded.config["llm_config"]
    turn = sa2va_reference.rotary(text.get("head_dim", 12), text["rope_theta"], len(ids))
    if case.kind == "internvl-internlm2":
        return sa2va_reference.internlm2_language_model(
            case.tensors, "language_model.model.", text, written, turn
        )
    read = sa2va_reference.qwen_language_model(case.tensors, "language_model.model.", text, written, turn, [])
    return sa2va_reference.rms(read, case.tensors["language_model.model.norm.weight"])


def _position_ids(size: int, start: int, rows: int, columns: int) -> Tensor:
    """Position ids on three axes of an image."""
    places = torch.arange(size).repeat(3, 1)
    cells = torch.arange(rows * columns)
    places[:, start : start + len(cells)] = start + torch.stack(
        [0 * cells, cells // columns, cells % columns]
    )
    behind = start + len(cells)
    places[:, behind:] = start + max(rows, columns) + torch.arange(size - behind)
    return places


def test_all_published_tensors_but_sams_memory_are_loaded(case: Case) -> None:
    again = to_published(case.loaded.model)
    assert again.keys() == published.without_memory(case.tensors).keys()
    assert not [name for name, tensor in again.items() if not torch.equal(tensor, case.tensors[name])]


def test_hidden_states_seg_embedding_and_masks_equal_the_published_algorithm(
    case: Case, pixels: Pixels
) -> None:
    checkpoint, tensors, behind = case.loaded, case.tensors, _question(case)
    model, template = checkpoint.model, checkpoint.template
    expected = _reference_hidden(case, pixels, behind)
    hidden = _features(case, pixels).prefix(past=False).prefill([behind]).hidden[0]
    torch.testing.assert_close(hidden, expected, atol=1e-4, rtol=0)

    seg = len(behind) - len(template.answer) + template.seg_offset
    first = torch.relu(sa2va_reference.linear(tensors, "text_hidden_fcs.0", expected[seg]))
    prompt = sa2va_reference.linear(tensors, "text_hidden_fcs.2", first)
    torch.testing.assert_close(model.seg_embeddings(hidden[seg]), prompt, atol=1e-4, rtol=0)

    side = checkpoint.sam_px
    square = normalise(checkpoint.resize(pixels, side, side)[None])
    backbone = published.SAM["vision_config"]["backbone_config"]
    maps = sa2va_reference.sam_feature_maps(tensors, backbone, square[0])
    masks, quality = sa2va_reference.sam_decode_masks(tensors, maps, prompt, heads=4)
    drawn, trusted = model.decode_masks(
        model.feature_maps(square), model.seg_embeddings(hidden[seg])[None, None]
    )
    torch.testing.assert_close(drawn[0, 0], masks, atol=1e-4, rtol=0)
    torch.testing.assert_close(trusted[0, 0], quality, atol=1e-4, rtol=0)


def test_token_probabilities_equal_the_published_head(case: Case, pixels: Pixels) -> None:
    behind = _question(case)
    head = next(t for n, t in case.tensors.items() if n.endswith(("lm_head.weight", "model.output.weight")))
    hidden = _reference_hidden(case, pixels, behind)
    scores = (_final_norm(case, hidden) if case.kind == "qwen3_vl" else hidden) @ head.T
    ours = case.loaded.model.token_log_probs(
        _features(case, pixels).prefix(past=False).prefill([behind]).hidden[0]
    )
    torch.testing.assert_close(ours, scores.log_softmax(-1), atol=1e-4, rtol=0)


def test_teacher_forcing_gives_the_hidden_states_of_generation(case: Case, pixels: Pixels) -> None:
    """One prefill of the generated tokens has the same hidden states as decoding them."""
    model, template = case.loaded.model, case.loaded.template
    prefix, question = _features(case, pixels).prefix(past=False), template.segment_question("the red star")
    generated = generate(model, prefix, question, template.eos_ids)
    given = prefix.prefill([[*question, *generated.ids]]).hidden[0, len(question) :]
    assert len(generated.ids) > 1
    torch.testing.assert_close(generated.hidden, given, atol=1e-4, rtol=0)
    torch.testing.assert_close(
        model.seg_embeddings(generated.hidden), model.seg_embeddings(given), atol=1e-4, rtol=0
    )


def test_packed_questions_have_the_hidden_states_of_single_questions(case: Case, pixels: Pixels) -> None:
    template = case.loaded.template
    blocks = [
        [*template.segment_question(text), *template.answer] for text in ("the star", "a red circle", "it")
    ]
    together = _features(case, pixels).prefix(past=False).prefill(blocks)
    prefix = _features(case, pixels).prefix(past=False)
    for start, block in zip(together.starts, blocks, strict=True):
        alone = prefix.prefill([block]).hidden[0]
        torch.testing.assert_close(together.hidden[0, start : start + len(block)], alone, atol=1e-4, rtol=0)


def test_bfloat16_answers_queries_about_tiled_images_and_several_frames(
    case: Case, tmp_path: Path, pixels: Pixels
) -> None:
    published.write(case.kind, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"presence_threshold": 0.0}))
    grounder = load_grounder(tmp_path, RunOptions(dtype="bfloat16", max_tiles=4))
    frame = Frame(StreamId("cam"), 1, pixels, pts_s=0.0, captured_s=0.0, clock=Clock.ARRIVAL)
    for kind, text, earlier in (
        (QueryKind.DESCRIBE, "all", ()),
        (QueryKind.REFER, "the star", ()),
        (QueryKind.REFER, "the moving star", (pixels[::-1].copy(), pixels[:, ::-1].copy())),
    ):
        query = Query(QueryId("q"), StreamId("cam"), text, kind)
        (answer,) = grounder.ground(Keyframe(frame, (query,), 1.0, earlier=earlier))
        assert answer.text and np.isfinite(answer.logits).all()


@pytest.mark.parametrize("size", [(1, 1), (6000, 8000)])
def test_tiny_and_large_images_are_answered(case: Case, size: tuple[int, int]) -> None:
    pixels = np.full((*size, 3), 127, dtype=np.uint8)
    frame = Frame(StreamId("cam"), 1, pixels, pts_s=0.0, captured_s=0.0, clock=Clock.ARRIVAL)
    query = Query(QueryId("q"), StreamId("cam"), "the star")
    (answer,) = SaGrounder(case.loaded).ground(Keyframe(frame, (query,), 1.0))
    assert answer.text


def test_a_config_part_that_is_no_object_is_a_checkpoint_error() -> None:
    with pytest.raises(CheckpointError, match="no llm_config"):
        part({"llm_config": 3}, "llm_config")


def test_only_selects_the_present_keys() -> None:
    published_text = {"hidden_size": 8, "attn_implementation": "flash_attention_2", "torch_dtype": "bfloat16"}
    assert only(published_text, TEXT_KEYS) == {"hidden_size": 8}
