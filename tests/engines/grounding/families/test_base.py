"""Laws of every family: what is published loads whole, and computes what its authors' code computes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from engines.grounding.checkpoints import Running, Sa2Va, load_sa2va, to_published
from engines.grounding.families.base import TEXT_KEYS, only, part
from engines.grounding.generation import speak
from engines.grounding.grounder import SaGrounder, load_grounder
from engines.grounding.image_processing import normalise
from engines.grounding.keyframe_features import Sight
from streaming.errors import CheckpointError, InvalidQuery
from streaming.vocabulary import Clock, Frame, Keyframe, Pixels, Query, QueryId, QueryKind, StreamId
from tests import published, sa2va_by_hand


@dataclass(frozen=True)
class Case:
    """A published checkpoint, and the same loaded."""

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


def _sight(case: Case, pixels: Pixels) -> Sight:
    frame = Frame(StreamId("cam"), 1, pixels, pts_s=0.0, captured_s=0.0, clock=Clock.ARRIVAL)
    return Sight(case.loaded, Keyframe(frame, (), 1.0))


def _asked(case: Case) -> list[int]:
    template = case.loaded.template
    return [*template.question("the red star"), *template.answer]


def _by_hand(case: Case, pixels: Pixels, behind: list[int]) -> Tensor:
    """Hidden states of `behind`, read after the picture."""
    checkpoint, config = case.loaded, case.loaded.config
    seen = checkpoint.model.family.prepare(pixels, 1)[0]
    if case.kind.startswith("internvl"):
        tokens = sa2va_by_hand.intern_eyes(case.tensors, config["vision_config"], seen)
        ids = torch.tensor([*checkpoint.template.shown([len(tokens)]), *behind])
        return _read_by_hand(case, ids, tokens)[-len(behind) :]
    tokens, deep = sa2va_by_hand.qwen_eyes(case.tensors, config["vision_config"], seen)
    ids = torch.tensor([*checkpoint.template.shown([len(tokens)]), *behind])
    image = (ids == checkpoint.template.image_id).nonzero()[:, 0]
    written = case.tensors["model.model.language_model.embed_tokens.weight"][ids].clone()
    written[image] = tokens
    cell = 2 * config["vision_config"]["patch_size"]
    places = _places(len(ids), int(image[0]), seen.shape[1] // cell, seen.shape[2] // cell)
    hidden = sa2va_by_hand.qwen_reader(
        case.tensors,
        _READER,
        config["text_config"],
        written,
        sa2va_by_hand.spread(config["text_config"], places),
        [(image, level) for level in deep],
    )[-len(behind) :]
    return hidden if case.kind == "qwen3_vl" else _last_norm(case, hidden)


def _last_norm(case: Case, hidden: Tensor) -> Tensor:
    """Of Qwen-VL. With Qwen3-VL, Sa2VA reads `[SEG]` before it; only its head is behind it."""
    return sa2va_by_hand.rms(hidden, case.tensors[f"{_READER}norm.weight"])


_READER = "model.model.language_model."
REGIONS = (np.tri(90, 160, k=-20, dtype=bool), np.tri(90, 160, k=60, dtype=bool))


def test_regions_are_shown_again_behind_the_picture_as_published(case: Case, pixels: Pixels) -> None:
    """Of the thumbnail's tokens, after all tiles'; the InternVL family alone was taught it."""
    config, template, sight = case.loaded.config, case.loaded.template, _sight(case, pixels)
    question = template.asked("what is region1")
    if not case.kind.startswith("internvl"):
        with pytest.raises(InvalidQuery, match="InternVL"):
            sight.regions(REGIONS)
        return
    seen = case.loaded.model.family.prepare(pixels, 1)[0]
    tokens = sa2va_by_hand.intern_eyes(case.tensors, config["vision_config"], seen)
    inside = [
        torch.nn.functional.interpolate(torch.tensor(region)[None, None].float(), (2, 2))[0, 0].flatten() > 0
        for region in REGIONS
    ]
    prefix = [*template.shown([4]), *template.regions([int(one.sum()) for one in inside])]
    ids = torch.tensor([*prefix, *question])
    shown = torch.cat([tokens, *(tokens[one] for one in inside)])
    hidden = _read_by_hand(case, ids, shown)[-len(question) :]
    torch.testing.assert_close(sight.regions(REGIONS).read([question]).hidden[0], hidden, atol=1e-4, rtol=0)


def _read_by_hand(case: Case, ids: Tensor, tokens: Tensor) -> Tensor:
    """Hidden states of ids with image tokens in their places, by an InternVL's language model."""
    written = next(t for n, t in case.tensors.items() if "embed_tokens" in n or "tok_embeddings" in n)[
        ids
    ].clone()
    written[ids == case.loaded.template.image_id] = tokens
    text = case.loaded.config["llm_config"]
    turn = sa2va_by_hand.counted(text.get("head_dim", 12), text["rope_theta"], len(ids))
    if case.kind == "internvl-internlm2":
        return sa2va_by_hand.internlm2_reader(case.tensors, "language_model.model.", text, written, turn)
    read = sa2va_by_hand.qwen_reader(case.tensors, "language_model.model.", text, written, turn, [])
    return sa2va_by_hand.rms(read, case.tensors["language_model.model.norm.weight"])


def _places(size: int, start: int, rows: int, columns: int) -> Tensor:
    """On three axes, of one picture among text."""
    places = torch.arange(size).repeat(3, 1)
    cells = torch.arange(rows * columns)
    places[:, start : start + len(cells)] = start + torch.stack(
        [0 * cells, cells // columns, cells % columns]
    )
    behind = start + len(cells)
    places[:, behind:] = start + max(rows, columns) + torch.arange(size - behind)
    return places


def test_no_tensor_is_missing_and_none_but_memorys_is_left_over(case: Case) -> None:
    again = to_published(case.loaded.model)
    assert again.keys() == published.without_memory(case.tensors).keys()
    assert not [name for name, tensor in again.items() if not torch.equal(tensor, case.tensors[name])]


def test_hidden_state_prompt_and_masks_are_those_of_the_published_algorithm(
    case: Case, pixels: Pixels
) -> None:
    checkpoint, tensors, behind = case.loaded, case.tensors, _asked(case)
    model, template = checkpoint.model, checkpoint.template
    expected = _by_hand(case, pixels, behind)
    hidden = _sight(case, pixels).prefix(past=False).read([behind]).hidden[0]
    torch.testing.assert_close(hidden, expected, atol=1e-4, rtol=0)

    seg = len(behind) - len(template.answer) + template.seg_offset
    first = torch.relu(sa2va_by_hand.linear(tensors, "text_hidden_fcs.0", expected[seg]))
    prompt = sa2va_by_hand.linear(tensors, "text_hidden_fcs.2", first)
    torch.testing.assert_close(model.embeddings(hidden[seg]), prompt, atol=1e-4, rtol=0)

    side = checkpoint.draw_px
    square = normalise(checkpoint.resize(pixels, side, side)[None])
    backbone = published.SAM["vision_config"]["backbone_config"]
    maps = sa2va_by_hand.sam_maps(tensors, backbone, square[0])
    masks, quality = sa2va_by_hand.sam_draw(tensors, maps, prompt, heads=4)
    drawn, trusted = model.segment(model.maps(square), model.embeddings(hidden[seg])[None, None])
    torch.testing.assert_close(drawn[0, 0], masks, atol=1e-4, rtol=0)
    torch.testing.assert_close(trusted[0, 0], quality, atol=1e-4, rtol=0)


def test_words_are_those_of_the_published_head(case: Case, pixels: Pixels) -> None:
    behind = _asked(case)
    head = next(t for n, t in case.tensors.items() if n.endswith(("lm_head.weight", "model.output.weight")))
    hidden = _by_hand(case, pixels, behind)
    scores = (_last_norm(case, hidden) if case.kind == "qwen3_vl" else hidden) @ head.T
    ours = case.loaded.model.log_probabilities(
        _sight(case, pixels).prefix(past=False).read([behind]).hidden[0]
    )
    torch.testing.assert_close(ours, scores.log_softmax(-1), atol=1e-4, rtol=0)


def test_an_answer_given_is_read_as_one_said_word_by_word(case: Case, pixels: Pixels) -> None:
    """Teacher forcing changes nothing but time: whatever is generated, one prefill sees the same states."""
    model, template = case.loaded.model, case.loaded.template
    prefix, question = _sight(case, pixels).prefix(past=False), template.question("the red star")
    speech = speak(model, prefix, question, template.ends)
    given = prefix.read([[*question, *speech.ids]]).hidden[0, len(question) :]
    assert len(speech.ids) > 1
    torch.testing.assert_close(speech.hidden, given, atol=1e-4, rtol=0)
    torch.testing.assert_close(model.embeddings(speech.hidden), model.embeddings(given), atol=1e-4, rtol=0)


def test_questions_asked_together_are_answered_as_alone(case: Case, pixels: Pixels) -> None:
    template = case.loaded.template
    blocks = [[*template.question(text), *template.answer] for text in ("the star", "a red circle", "it")]
    together = _sight(case, pixels).prefix(past=False).read(blocks)
    prefix = _sight(case, pixels).prefix(past=False)
    for start, block in zip(together.starts, blocks, strict=True):
        alone = prefix.read([block]).hidden[0]
        torch.testing.assert_close(together.hidden[0, start : start + len(block)], alone, atol=1e-4, rtol=0)


def test_in_bfloat16_questions_are_answered_about_pictures_and_windows(
    case: Case, tmp_path: Path, pixels: Pixels
) -> None:
    published.write(case.kind, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"presence_threshold": 0.0}))
    grounder = load_grounder(tmp_path, Running(dtype="bfloat16", tiles=4))
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
def test_the_smallest_and_a_large_picture_are_answered(case: Case, size: tuple[int, int]) -> None:
    pixels = np.full((*size, 3), 127, dtype=np.uint8)
    frame = Frame(StreamId("cam"), 1, pixels, pts_s=0.0, captured_s=0.0, clock=Clock.ARRIVAL)
    query = Query(QueryId("q"), StreamId("cam"), "the star")
    (answer,) = SaGrounder(case.loaded).ground(Keyframe(frame, (query,), 1.0))
    assert answer.text


def test_a_part_that_is_no_object_is_said() -> None:
    with pytest.raises(CheckpointError, match="no llm_config"):
        part({"llm_config": 3}, "llm_config")


def test_only_what_shapes_a_model_is_taken_over() -> None:
    published_text = {"hidden_size": 8, "attn_implementation": "flash_attention_2", "torch_dtype": "bfloat16"}
    assert only(published_text, TEXT_KEYS) == {"hidden_size": 8}
