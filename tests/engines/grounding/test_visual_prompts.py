"""Laws of visual prompts. families/test_base.py compares them with the published code."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from engines.grounding.generation import decode_text, generate
from engines.grounding.grounder import NO_REGIONS, SaGrounder, load_grounder
from engines.grounding.keyframe_features import KeyframeFeatures
from engines.grounding.visual_prompts import ask_about_region, introduce_regions, region_mask, region_tokens
from streaming.errors import InvalidQuery
from streaming.vocabulary import Clock, Frame, Keyframe, Query, QueryId, QueryKind, Region, StreamId
from tests import published


@pytest.mark.parametrize("size", [(90, 160), (7, 5), (480, 640)])
def test_a_token_is_selected_by_its_upper_left_corner(size: tuple[int, int]) -> None:
    region = np.random.default_rng(4).random(size) > 0.4
    nearest = torch.nn.functional.interpolate(torch.tensor(region)[None, None].float(), (16, 16))
    assert torch.equal(region_tokens(region, 16), nearest[0, 0].flatten() > 0)


def test_a_region_smaller_than_a_token_selects_the_token_at_its_centre() -> None:
    region = np.zeros((160, 160), dtype=bool)
    region[43:46, 102:105] = True
    assert region_tokens(region, 16).nonzero().tolist() == [[4 * 16 + 10]]


@pytest.mark.parametrize(
    ("region", "pixels"),
    [
        ((0.0, 0.0, 1.0, 1.0), (slice(0, 40), slice(0, 80))),
        ((0.25, 0.5, 0.75, 1.0), (slice(20, 40), slice(20, 60))),
        ((0.5, 0.5, 0.5, 0.5), (slice(20, 21), slice(40, 41))),
        ((1.0, 1.0, 1.0, 1.0), (slice(39, 40), slice(79, 80))),
    ],
)
def test_a_region_mask_has_at_least_one_pixel(region: Region, pixels: tuple[slice, slice]) -> None:
    expected = np.zeros((40, 80), dtype=bool)
    expected[pixels] = True
    assert np.array_equal(region_mask(region, (40, 80)), expected)


def test_a_question_names_region1() -> None:
    assert ask_about_region("what is this?") == "About region1: what is this?"
    assert ask_about_region("describe region1") == "describe region1"


def test_an_empty_region_is_an_invalid_query() -> None:
    with pytest.raises(InvalidQuery, match="empty"):
        region_tokens(np.zeros((9, 9), dtype=bool), 16)


def test_regions_are_numbered_from_one() -> None:
    assert introduce_regions("*", [2, 1]) == (
        "There are 2 part regions in the picture: region1<vp>**</vp>, region2<vp>*</vp>.\n"
    )


@pytest.fixture(scope="module")
def grounder(tmp_path_factory: pytest.TempPathFactory) -> SaGrounder:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("internvl")
    published.write("internvl-qwen2", folder)
    return load_grounder(folder)


def test_a_region_is_converted_to_tokens_of_its_mask(grounder: SaGrounder) -> None:
    pixels = np.random.default_rng(5).integers(0, 255, (90, 160, 3), dtype=np.uint8)
    frame = Frame(StreamId("cam"), 1, pixels, pts_s=0.0, captured_s=0.0, clock=Clock.ARRIVAL)
    features, question = KeyframeFeatures(grounder._checkpoint, Keyframe(frame, (), 1.0)), [1, 2, 3]
    left, right = (0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 1.0, 1.0)
    found = [features.region_prefix(region).prefill([question]).hidden for region in (left, right)]
    expected = features.regions_prefix([region_mask(left, (90, 160))]).prefill([question]).hidden
    assert torch.equal(found[0], expected) and not torch.allclose(found[1], expected, atol=1e-3)


def test_a_region_query_is_answered_if_the_model_takes_regions_and_else_refused(
    grounder: SaGrounder,
) -> None:
    frame = Frame(StreamId("cam"), 1, np.full((90, 160, 3), 90, np.uint8), 0.0, 0.0, Clock.ARRIVAL)
    query = Query(QueryId("q"), StreamId("cam"), "what is this?", QueryKind.ASK, region=(0.0, 0.0, 0.5, 1.0))
    keyframe = Keyframe(frame, (query,), 1.0)
    (refused,) = grounder.ground(keyframe)
    assert (refused.text, refused.prompts) == (NO_REGIONS, ())
    checkpoint = grounder._checkpoint
    taught = SaGrounder(replace(checkpoint, config={**checkpoint.config, "takes_regions": True}))
    prefix = KeyframeFeatures(checkpoint, keyframe).region_prefix((0.0, 0.0, 0.5, 1.0))
    question = checkpoint.template.user_question("About region1: what is this?")
    expected = generate(checkpoint.model, prefix, question, checkpoint.template.eos_ids)
    assert expected.ids
    assert taught.ground(keyframe)[0].text == decode_text(checkpoint.template.tokenizer, expected.ids)
