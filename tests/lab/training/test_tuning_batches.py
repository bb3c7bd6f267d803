"""Laws of what a checkpoint is tuned on: its own sizes, and every label where it belongs."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from engines.grounding.families.internvl import InternVl
from engines.grounding.image_processing import normalise
from engines.grounding.templates import Template, make_template
from lab.training.task_mixture import draw_shown
from lab.training.tokenizer import nano_tokenizer
from lab.training.tuning_batches import Sizes, TuningBatch, draw_tuning_batch
from lab.training.world.levels import CURRICULUM


def family(side: int) -> InternVl:
    """One whose pictures have such a side."""
    return InternVl({"vision_config": {"image_size": side, "patch_size": 16}, "downsample_ratio": 0.5}, 0)


SIZES = Sizes(family(128), draw_px=320, expressions=4)
SEEDS = range(40, 46)


@pytest.fixture(scope="module")
def template() -> Template:
    return make_template(nano_tokenizer(), image_tokens=16)


@pytest.fixture(scope="module")
def batch(template: Template) -> TuningBatch:
    return draw_tuning_batch(SEEDS, template, CURRICULUM[0], window=False, sizes=SIZES)


def test_pictures_are_as_large_as_the_checkpoint_wants_them(batch: TuningBatch) -> None:
    assert batch.look.shape == (6, 3, 128, 128)
    assert batch.draw.shape == (6, 3, 320, 320)
    assert batch.masks.shape[1:] == (80, 80)
    assert (float(batch.masks.min()), float(batch.masks.max())) == (0.0, 1.0)


def test_both_models_see_the_same_picture(batch: TuningBatch) -> None:
    small = functional.interpolate(batch.draw, size=(128, 128), mode="bilinear", antialias=True)
    assert float((small - batch.look).abs().mean()) < 0.1


def test_a_window_shows_its_past_to_the_language_model_alone(template: Template) -> None:
    window = draw_tuning_batch(range(3), template, CURRICULUM[0], window=True, sizes=SIZES)
    assert (len(window.look), len(window.draw)) == (9, 3)
    assert int((window.packed.ids == template.image_id).sum()) == 9 * 16
    now = draw_shown(1, CURRICULUM[0], template, window=True, referring=4, side_px=320).clip.frames[-1:]
    assert torch.equal(window.draw[1:2], normalise(now))


def test_every_token_of_every_answer_is_predicted_from_the_place_before_it(
    batch: TuningBatch, template: Template
) -> None:
    rows, places, tokens = batch.said.unbind(dim=1)
    assert torch.equal(batch.packed.ids[rows, places + 1], tokens)
    ends = (batch.packed.ids == template.eos_id).sum()
    asked = sum(len(starts) for starts in batch.packed.starts)
    assert int((tokens == template.eos_id).sum()) == asked == int(ends) - asked, "questions end too"


def test_every_pointing_stands_on_its_seg_behind_the_words_about_its_thing(
    batch: TuningBatch, template: Template
) -> None:
    rows, _, segs = batch.pointed.unbind(dim=1)
    assert len(batch.masks) == len(rows) == int((batch.packed.ids == template.seg_id).sum())
    assert bool((batch.packed.ids[rows, segs] == template.seg_id).all())
    for row, begin, seg in batch.pointed.tolist():
        assert template.seg_id not in batch.packed.ids[row, begin:seg]
        starts = [start for start in batch.packed.starts[row] if start <= seg]
        in_a_caption = int(batch.packed.ids[row, begin]) == template.tokenizer.token_to_id("<p>")
        assert begin == starts[-1] or (in_a_caption and begin > starts[-1])
    assert bool((rows.diff() >= 0).all()), "scene by scene"


def test_masks_are_of_what_is_meant(batch: TuningBatch, template: Template) -> None:
    first = draw_shown(SEEDS[0], CURRICULUM[0], template, window=False, referring=4, side_px=320)
    meant = [things for task in first.tasks for things in task.meant]
    areas = [float(first.clip.masks[-1][list(things)].any(axis=0).mean()) for things in meant]
    found = batch.masks[batch.pointed[:, 0] == 0].mean(dim=(1, 2))
    assert meant and found.tolist() == pytest.approx(areas, abs=1e-3)


def test_scenes_that_point_at_nothing_are_no_error(template: Template) -> None:
    """Only refusals: found by asking one thing of many scenes."""
    for seed in range(200):
        alone = draw_tuning_batch(
            [seed], template, CURRICULUM[0], window=False, sizes=Sizes(family(128), 256, 1)
        )
        if not len(alone.pointed):
            assert alone.pointed.shape == (0, 3) and alone.masks.shape == (0, 64, 64)
            return
    pytest.fail("every scene pointed at something")
