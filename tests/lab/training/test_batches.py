"""Laws of batches: every label is at the tokens and image cells that it is of."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engines.grounding.templates import SEG, Template, make_template
from lab.training.batches import (
    BACKGROUND,
    IGNORE_INDEX,
    TASK_KINDS,
    GroundingBatch,
    dense_classes,
    draw_grounding_batch,
    draw_photo_batch,
)
from lab.training.names import NAMES
from lab.training.nano_config import PATCH_GRID, VISION_SIDE_PX
from lab.training.scene_description import PhotoDescription
from lab.training.task_mixture import draw_task_sample
from lab.training.tokenizer import nano_tokenizer
from lab.training.world.levels import CURRICULUM
from lab.training.world.named_colours import REAL_COLOURS
from lab.training.world.photo_samples import load_sampler
from lab.training.world.photo_views import PhotoView
from tests.described_photos import Thing, described
from tests.photo_folder import write_detections, write_photo_folder

TOKENS = PATCH_GRID // 2
"Image tokens along a side."

WORLD = CURRICULUM[-1]


@pytest.fixture(scope="module")
def template() -> Template:
    return make_template(nano_tokenizer(), image_tokens=TOKENS**2)


@pytest.fixture(scope="module", params=[False, True], ids=["images", "windows"])
def batch(template: Template, request: pytest.FixtureRequest) -> GroundingBatch:
    return draw_grounding_batch(range(8), template, WORLD, window=request.param, expressions=4)


def test_seg_targets_are_at_the_seg_tokens(batch: GroundingBatch, template: Template) -> None:
    segs = batch.segs
    assert len(segs.rows) > 8
    assert bool((batch.packed.ids[segs.rows, segs.seg] == template.seg_id).all())
    assert int((batch.packed.ids == template.seg_id).sum()) == len(segs.rows)


def test_answer_tokens_are_predicted_from_the_position_before(batch: GroundingBatch) -> None:
    answers = batch.answers
    next_ids = batch.packed.ids[answers.rows, answers.positions + 1]
    assert bool((next_ids == answers.ids).all())


def test_the_first_token_decides_a_referring_answer(batch: GroundingBatch, template: Template) -> None:
    answers = batch.answers
    for kind, first in (("present", template.answer[0]), ("absent", template.refusal[0])):
        decisive = answers.ids[answers.kinds == TASK_KINDS.index(kind)]
        assert len(decisive) > 0
        assert bool((decisive == first).all())


def test_decisive_tokens_have_the_greatest_weight_and_end_tokens_the_least(
    batch: GroundingBatch, template: Template
) -> None:
    answers = batch.answers
    end = answers.ids == template.answer[-1]
    decisive = (answers.kinds >= 0) & (answers.kinds != TASK_KINDS.index("caption"))
    assert bool((answers.weights[decisive] == answers.weights.max()).all())
    assert bool((answers.weights[end] == answers.weights.min()).all())


def test_every_seg_has_a_mask_of_coverages(batch: GroundingBatch) -> None:
    masks = batch.segs.masks
    assert bool((masks.sum(dim=(1, 2)) > 1).all())
    assert float(masks.min()) >= 0 and float(masks.max()) <= 1 + 1e-5


def test_phrases_begin_before_their_seg(batch: GroundingBatch) -> None:
    assert bool((batch.segs.begins < batch.segs.seg).all())


def test_attention_is_supervised_at_every_seg_and_at_questions(
    batch: GroundingBatch, template: Template
) -> None:
    attention, segs = batch.attention, batch.segs
    at_seg = batch.packed.ids[attention.rows, attention.positions] == template.seg_id
    assert int(at_seg.sum()) == len(segs.rows)
    assert int((~at_seg).sum()) > len(segs.rows), "at first tokens of answers and at questions"
    assert bool((attention.masks.sum(dim=(1, 2)) > 0).all())


def test_referents_of_several_categories_have_no_category_label(batch: GroundingBatch) -> None:
    assert bool(((batch.segs.categories >= 0) | (batch.segs.categories == IGNORE_INDEX)).all())
    assert bool((batch.segs.categories >= 0).any())


def test_every_image_has_dense_labels(batch: GroundingBatch) -> None:
    images = 8 * batch.images_per_scene
    assert batch.categories.shape == (images, PATCH_GRID, PATCH_GRID) == batch.colours.shape
    assert batch.pixels.shape == (images, 3, VISION_SIDE_PX, VISION_SIDE_PX)
    assert bool(((batch.categories > 0) == (batch.colours > 0)).all())


def test_displacements_are_of_objects_and_since_every_earlier_image(batch: GroundingBatch) -> None:
    assert batch.displacements.shape == (8, TOKENS, TOKENS, 2 * (batch.images_per_scene - 1))
    if batch.images_per_scene > 1:
        labelled = ~batch.displacements.isnan()
        assert bool((labelled.all(dim=-1) == labelled.any(dim=-1)).all())
        assert 0 < float(labelled.float().mean()) < 1
        assert float(batch.displacements[labelled].abs().max()) < 2


def test_a_displacement_is_the_difference_of_mask_centres(template: Template) -> None:
    """x before y, the oldest image first; compared on objects that are occluded nowhere."""
    errors = []
    for seed in range(8):
        clip = draw_task_sample(seed, WORLD, template, window=True, expressions=1).clip
        drawn = draw_grounding_batch([seed], template, WORLD, window=True, expressions=1)
        for index in range(len(clip.labels)):
            visible = clip.masks[:, index]
            cells = drawn.objects[0, -1] == index
            occluded = (visible.sum(axis=(1, 2)) < 0.9 * clip.amodal_area_px[:, index]).any()
            if occluded or not cells.any():
                continue
            centres = np.array(
                [[np.nonzero(mask)[axis].mean() / VISION_SIDE_PX for axis in (1, 0)] for mask in visible]
            )
            moved = (centres[-1] - centres[:-1]).ravel()
            errors.append(float(np.abs(drawn.displacements[0][cells][0].numpy() - moved).max()))
    assert len(errors) > 5
    assert np.median(errors) < 0.03


def test_image_tokens_are_at_their_starts(batch: GroundingBatch, template: Template) -> None:
    tokens = batch.image_side**2
    for start in batch.image_starts:
        assert bool((batch.packed.ids[:, start : start + tokens] == template.image_id).all())
        assert int(batch.packed.ids[0, start - 1]) == template.tokenizer.token_to_id("<img>")
    stop = batch.image_starts[-1] + tokens
    assert int((batch.packed.ids[0] == template.image_id).sum()) == batch.images_per_scene * tokens
    assert bool((batch.packed.ids[:, stop:] != template.image_id).all())
    assert SEG not in template.tokenizer.decode(batch.packed.ids[0, : batch.image_starts[0]].tolist())


def test_equal_seeds_give_equal_batches(template: Template) -> None:
    one, other = (draw_grounding_batch(range(3), template, WORLD, window=False, expressions=3) for _ in "12")
    assert torch.equal(one.packed.ids, other.packed.ids)
    assert torch.equal(one.pixels, other.pixels)


def test_every_token_is_of_an_object_or_of_the_background(batch: GroundingBatch) -> None:
    assert batch.objects.shape == (8, batch.images_per_scene, TOKENS, TOKENS)
    assert int(batch.objects.min()) == BACKGROUND
    has_displacement = ~batch.displacements.isnan().all(dim=-1)
    assert batch.images_per_scene == 1 or bool(((batch.objects[:, -1] >= 0) == has_displacement).all())


def test_a_finer_grid_follows_from_the_tokens_of_an_image() -> None:
    finer = make_template(nano_tokenizer(), image_tokens=144)
    drawn = draw_grounding_batch(range(2), finer, WORLD, window=False, expressions=3, side_px=384)
    assert drawn.pixels.shape == (2, 3, 384, 384)
    assert drawn.categories.shape == drawn.colours.shape == (2, 24, 24)
    assert drawn.objects.shape == (2, 1, 12, 12) and drawn.image_side == 12


def test_photographs_have_labels_where_something_is_known(
    template: Template, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = write_photo_folder(tmp_path_factory.mktemp("photos"))
    write_detections(folder, {image: [("car", 0.9, (0, 0, 60, 40))] for image in range(4)})
    sampler = load_sampler(folder, "train")
    drawn = draw_photo_batch(sampler, range(8), template, expressions=4, side_px=128)
    assert drawn.images_per_scene == 1 and drawn.pixels.shape == (8, 3, 128, 128)
    names = {1 + NAMES.index("dog"), 1 + NAMES.index("cup")}
    assert set(drawn.categories.unique().tolist()) == {IGNORE_INDEX, 0, *names}
    unknown = drawn.categories == IGNORE_INDEX
    assert bool((drawn.colours[unknown] == IGNORE_INDEX).all())
    assert bool((drawn.segs.masks.amax(dim=(1, 2)) > 0).all())
    assert set(drawn.segs.categories.tolist()) <= {IGNORE_INDEX, *(number - 1 for number in names)}


def test_a_part_has_its_own_class_before_its_whole() -> None:
    person = Thing("person", (0, 0, 100, 100), "red")
    scene = described(person, Thing("jacket", (0, 50, 100, 100), "red", wearer=0))
    frames = np.zeros((1, 100, 100, 3), np.uint8)
    fields = {field: getattr(scene, field) for field in PhotoDescription.__dataclass_fields__}
    view = PhotoView(**fields, frames=frames, unlabelled=np.zeros((100, 100), np.bool_))
    categories, colours = dense_classes(view, 0, 4)
    assert categories[0, 0] == 1 + NAMES.index("person")
    assert categories[3, 0] == 1 + NAMES.index("jacket")
    assert (colours == 1 + REAL_COLOURS.index("red")).all()
