"""Laws of regions. That they are read as published is shown in families/test_base.py."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from engines.grounding.grounder import NO_REGIONS, SaGrounder, load_grounder
from engines.grounding.keyframe_features import Sight
from engines.grounding.visual_prompts import about, cells, inside, introduced
from streaming.errors import InvalidQuery
from streaming.vocabulary import Clock, Frame, Keyframe, Query, QueryId, QueryKind, Region, StreamId
from tests import published


@pytest.mark.parametrize("size", [(90, 160), (7, 5), (480, 640)])
def test_a_token_is_inside_where_its_upper_left_corner_is(size: tuple[int, int]) -> None:
    region = np.random.default_rng(4).random(size) > 0.4
    nearest = torch.nn.functional.interpolate(torch.tensor(region)[None, None].float(), (16, 16))
    assert torch.equal(cells(region, 16), nearest[0, 0].flatten() > 0)


def test_what_is_smaller_than_a_token_is_the_token_in_its_middle() -> None:
    region = np.zeros((160, 160), dtype=bool)
    region[43:46, 102:105] = True
    assert cells(region, 16).nonzero().tolist() == [[4 * 16 + 10]]


@pytest.mark.parametrize(
    ("region", "pixels"),
    [
        ((0.0, 0.0, 1.0, 1.0), (slice(0, 40), slice(0, 80))),
        ((0.25, 0.5, 0.75, 1.0), (slice(20, 40), slice(20, 60))),
        ((0.5, 0.5, 0.5, 0.5), (slice(20, 21), slice(40, 41))),
        ((1.0, 1.0, 1.0, 1.0), (slice(39, 40), slice(79, 80))),
    ],
)
def test_what_was_pointed_at_is_a_box_of_one_pixel_at_least(
    region: Region, pixels: tuple[slice, slice]
) -> None:
    expected = np.zeros((40, 80), dtype=bool)
    expected[pixels] = True
    assert np.array_equal(inside(region, (40, 80)), expected)


def test_a_question_names_what_was_pointed_at() -> None:
    assert about("what is this?") == "About region1: what is this?"
    assert about("describe region1") == "describe region1"


def test_nothing_is_no_region() -> None:
    with pytest.raises(InvalidQuery, match="empty"):
        cells(np.zeros((9, 9), dtype=bool), 16)


def test_regions_are_counted_from_one() -> None:
    assert introduced("*", [2, 1]) == (
        "There are 2 part regions in the picture: region1<vp>**</vp>, region2<vp>*</vp>.\n"
    )


@pytest.fixture(scope="module")
def grounder(tmp_path_factory: pytest.TempPathFactory) -> SaGrounder:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("internvl")
    published.write("internvl-qwen2", folder)
    return load_grounder(folder)


def test_a_question_about_a_region_is_answered_in_words(grounder: SaGrounder) -> None:
    pixels = np.random.default_rng(5).integers(0, 255, (90, 160, 3), dtype=np.uint8)
    frame = Frame(StreamId("cam"), 1, pixels, pts_s=0.0, captured_s=0.0, clock=Clock.ARRIVAL)
    keyframe = Keyframe(frame, (), 1.0)
    left, right = np.zeros((90, 160), dtype=bool), np.zeros((90, 160), dtype=bool)
    left[:, :80] = right[:, 80:] = True
    told = [grounder.tell(keyframe, [one], "what is region1") for one in (left, right)]
    assert all(told) and told[0] == grounder.tell(keyframe, [left], "what is region1")


def test_what_was_pointed_at_is_shown_behind_the_picture(grounder: SaGrounder) -> None:
    pixels = np.random.default_rng(5).integers(0, 255, (90, 160, 3), dtype=np.uint8)
    frame = Frame(StreamId("cam"), 1, pixels, pts_s=0.0, captured_s=0.0, clock=Clock.ARRIVAL)
    sight, question = Sight(grounder._checkpoint, Keyframe(frame, (), 1.0)), [1, 2, 3]
    left, right = (0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 1.0, 1.0)
    seen = [sight.pointed(region).read([question]).hidden for region in (left, right)]
    expected = sight.regions([inside(left, (90, 160))]).read([question]).hidden
    assert torch.equal(seen[0], expected) and not torch.allclose(seen[1], expected, atol=1e-3)


def test_a_click_is_asked_about_where_regions_were_taught_and_else_refused_in_words(
    grounder: SaGrounder,
) -> None:
    frame = Frame(StreamId("cam"), 1, np.full((90, 160, 3), 90, np.uint8), 0.0, 0.0, Clock.ARRIVAL)
    query = Query(QueryId("q"), StreamId("cam"), "what is this?", QueryKind.ASK, region=(0.0, 0.0, 0.5, 1.0))
    keyframe = Keyframe(frame, (query,), 1.0)
    (refused,) = grounder.ground(keyframe)
    assert (refused.text, refused.prompts) == (NO_REGIONS, ())
    checkpoint = grounder._checkpoint
    taught = SaGrounder(replace(checkpoint, config={**checkpoint.config, "takes_regions": True}))
    mask = inside((0.0, 0.0, 0.5, 1.0), (90, 160))
    assert taught.ground(keyframe)[0].text == taught.tell(keyframe, [mask], about("what is this?"))
