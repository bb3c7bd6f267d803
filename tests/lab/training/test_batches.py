"""Laws of the batches that training sees."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engines.grounding.templates import SEG, Template, make_template
from lab.training.batches import GRID, GROUND, GROUPS, NOTHING, Batch, draw_batch
from lab.training.task_mixture import draw_shown
from lab.training.tokenizer import nano_tokenizer
from lab.training.world.levels import CURRICULUM

WORLD = CURRICULUM[-1]


@pytest.fixture(scope="module")
def template() -> Template:
    return make_template(nano_tokenizer(), image_tokens=64)


@pytest.fixture(scope="module", params=[False, True], ids=["pictures", "windows"])
def batch(template: Template, request: pytest.FixtureRequest) -> Batch:
    return draw_batch(range(8), template, WORLD, window=request.param, referring=4)


def test_seg_stands_where_the_batch_says(batch: Batch, template: Template) -> None:
    points = batch.pointings
    assert len(points.rows) > 8
    assert bool((batch.packed.ids[points.rows, points.seg] == template.seg_id).all())
    assert int((batch.packed.ids == template.seg_id).sum()) == len(points.rows)


def test_answers_are_predicted_from_the_place_before(batch: Batch) -> None:
    answers = batch.answers
    following = batch.packed.ids[answers.rows, answers.places + 1]
    assert bool((following == answers.ids).all())


def test_a_referring_answer_is_decided_by_its_first_word(batch: Batch, template: Template) -> None:
    answers = batch.answers
    for group, word in (("present", template.answer[0]), ("absent", template.refusal[0])):
        decided = answers.ids[answers.groups == GROUPS.index(group)]
        assert len(decided) > 0
        assert bool((decided == word).all())


def test_what_decides_an_answer_weighs_most_and_its_end_least(batch: Batch, template: Template) -> None:
    answers = batch.answers
    end = answers.ids == template.answer[-1]
    decides = (answers.groups >= 0) & (answers.groups != GROUPS.index("caption"))
    assert bool((answers.weights[decides] == answers.weights.max()).all())
    assert bool((answers.weights[end] == answers.weights.min()).all())


def test_what_is_pointed_at_has_a_mask_within_the_picture(batch: Batch) -> None:
    masks = batch.pointings.masks
    assert bool((masks.sum(dim=(1, 2)) > 1).all())
    assert float(masks.min()) >= 0 and float(masks.max()) <= 1 + 1e-5


def test_words_about_a_thing_stand_before_its_seg(batch: Batch) -> None:
    assert bool((batch.pointings.begins < batch.pointings.seg).all())


def test_one_looks_at_what_is_pointed_at_and_at_what_is_asked_about(batch: Batch, template: Template) -> None:
    gazes, points = batch.gazes, batch.pointings
    at_seg = batch.packed.ids[gazes.rows, gazes.places] == template.seg_id
    assert int(at_seg.sum()) == len(points.rows)
    assert int((~at_seg).sum()) > len(points.rows), "questions are looked at, too"
    assert bool((gazes.masks.sum(dim=(1, 2)) > 0).all())


def test_several_kinds_are_no_kind(batch: Batch) -> None:
    assert bool(((batch.pointings.kinds >= 0) | (batch.pointings.kinds == NOTHING)).all())
    assert bool((batch.pointings.kinds >= 0).any())


def test_every_picture_has_its_patches_named(batch: Batch) -> None:
    assert batch.kinds.shape == (8 * batch.pictures, GRID, GRID) == batch.colours.shape
    assert batch.pixels.shape == (8 * batch.pictures, 3, 256, 256)
    assert bool(((batch.kinds > 0) == (batch.colours > 0)).all())


def test_shifts_are_of_things_and_from_every_earlier_picture(batch: Batch) -> None:
    assert batch.shifts.shape == (8, 8, 8, 2 * (batch.pictures - 1))
    if batch.pictures > 1:
        known = ~batch.shifts.isnan()
        assert bool((known.all(dim=-1) == known.any(dim=-1)).all())
        assert 0 < float(known.float().mean()) < 1
        assert float(batch.shifts[known].abs().max()) < 2


def test_a_shift_leads_from_where_a_thing_was_seen_to_where_it_is(template: Template) -> None:
    """By the middles of masks, x before y, the oldest picture first."""
    agree = []
    for seed in range(8):
        clip = draw_shown(seed, WORLD, template, window=True, referring=1).clip
        drawn = draw_batch([seed], template, WORLD, window=True, referring=1)
        for thing in range(len(clip.labels)):
            seen = clip.masks[:, thing]
            here = drawn.owners[0, -1] == thing
            if (seen.sum(axis=(1, 2)) < 0.9 * clip.amodal_area_px[:, thing]).any() or not here.any():
                continue
            middles = np.array([[np.nonzero(mask)[axis].mean() / 256 for axis in (1, 0)] for mask in seen])
            came = (middles[-1] - middles[:-1]).ravel()
            agree.append(float(np.abs(drawn.shifts[0][here][0].numpy() - came).max()))
    assert len(agree) > 5
    assert np.median(agree) < 0.03


def test_the_pictures_tokens_are_where_the_batch_says(batch: Batch, template: Template) -> None:
    tokens = batch.image_side**2
    for start in batch.image_starts:
        assert bool((batch.packed.ids[:, start : start + tokens] == template.image_id).all())
        assert int(batch.packed.ids[0, start - 1]) == template.tokenizer.token_to_id("<img>")
    stop = batch.image_starts[-1] + tokens
    assert int((batch.packed.ids[0] == template.image_id).sum()) == batch.pictures * batch.image_side**2
    assert bool((batch.packed.ids[:, stop:] != template.image_id).all())
    assert SEG not in template.tokenizer.decode(batch.packed.ids[0, : batch.image_starts[0]].tolist())


def test_the_same_seeds_give_the_same_batch(template: Template) -> None:
    one, other = (draw_batch(range(3), template, WORLD, window=False, referring=3) for _ in range(2))
    assert torch.equal(one.packed.ids, other.packed.ids)
    assert torch.equal(one.pixels, other.pixels)


def test_a_token_is_owned_by_a_thing_or_by_the_ground(batch: Batch) -> None:
    assert batch.owners.shape == (8, batch.pictures, 8, 8)
    assert int(batch.owners.min()) == GROUND
    assert (
        bool(((batch.owners[:, -1] >= 0) == ~batch.shifts.isnan().all(dim=-1)).all()) or batch.pictures == 1
    )
