"""Laws of tuning batches: the sizes of the checkpoint, and labels at their tokens."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from engines.grounding.families.internvl import InternVl
from engines.grounding.image_processing import normalise
from engines.grounding.templates import Template, make_template
from lab.training.task_mixture import draw_task_sample
from lab.training.tokenizer import nano_tokenizer
from lab.training.tuning_batches import Sizes, TuningBatch, draw_tuning_batch
from lab.training.world.levels import CURRICULUM


def family(side: int) -> InternVl:
    """A family with images of this side."""
    return InternVl({"vision_config": {"image_size": side, "patch_size": 16}, "downsample_ratio": 0.5}, 0)


SIZES = Sizes(family(128), sam_px=320, expressions=4)
SEEDS = range(40, 46)


@pytest.fixture(scope="module")
def template() -> Template:
    return make_template(nano_tokenizer(), image_tokens=16)


@pytest.fixture(scope="module")
def batch(template: Template) -> TuningBatch:
    return draw_tuning_batch(SEEDS, template, CURRICULUM[0], window=False, sizes=SIZES)


def test_images_have_the_sizes_of_the_checkpoint(batch: TuningBatch) -> None:
    assert batch.language_pixels.shape == (6, 3, 128, 128)
    assert batch.sam_pixels.shape == (6, 3, 320, 320)
    assert batch.masks.shape[1:] == (80, 80)
    assert (float(batch.masks.min()), float(batch.masks.max())) == (0.0, 1.0)


def test_both_models_get_the_same_image(batch: TuningBatch) -> None:
    small = functional.interpolate(batch.sam_pixels, size=(128, 128), mode="bilinear", antialias=True)
    assert float((small - batch.language_pixels).abs().mean()) < 0.1


def test_only_the_language_model_gets_the_earlier_images_of_a_window(template: Template) -> None:
    window = draw_tuning_batch(range(3), template, CURRICULUM[0], window=True, sizes=SIZES)
    assert (len(window.language_pixels), len(window.sam_pixels)) == (9, 3)
    assert int((window.packed.ids == template.image_id).sum()) == 9 * 16
    now = draw_task_sample(1, CURRICULUM[0], template, window=True, expressions=4, side_px=320).clip.frames[
        -1:
    ]
    assert torch.equal(window.sam_pixels[1:2], normalise(now))


def test_every_answer_token_is_predicted_from_the_position_before(
    batch: TuningBatch, template: Template
) -> None:
    rows, positions, tokens = batch.answers.unbind(dim=1)
    assert torch.equal(batch.packed.ids[rows, positions + 1], tokens)
    ends = (batch.packed.ids == template.eos_id).sum()
    tasks = sum(len(starts) for starts in batch.packed.starts)
    assert int((tokens == template.eos_id).sum()) == tasks == int(ends) - tasks, "questions end too"


def test_seg_targets_are_at_seg_tokens_behind_their_phrases(batch: TuningBatch, template: Template) -> None:
    rows, _, segs = batch.segs.unbind(dim=1)
    assert len(batch.masks) == len(rows) == int((batch.packed.ids == template.seg_id).sum())
    assert bool((batch.packed.ids[rows, segs] == template.seg_id).all())
    for row, begin, seg in batch.segs.tolist():
        assert template.seg_id not in batch.packed.ids[row, begin:seg]
        starts = [start for start in batch.packed.starts[row] if start <= seg]
        in_a_caption = int(batch.packed.ids[row, begin]) == template.tokenizer.token_to_id("<p>")
        assert begin == starts[-1] or (in_a_caption and begin > starts[-1])
    assert bool((rows.diff() >= 0).all()), "by scene"


def test_masks_are_of_the_referents(batch: TuningBatch, template: Template) -> None:
    first = draw_task_sample(SEEDS[0], CURRICULUM[0], template, window=False, expressions=4, side_px=320)
    referents = [objects for task in first.tasks for objects in task.referents]
    areas = [float(first.clip.masks[-1][list(objects)].any(axis=0).mean()) for objects in referents]
    found = batch.masks[batch.segs[:, 0] == 0].mean(dim=(1, 2))
    assert referents and found.tolist() == pytest.approx(areas, abs=1e-3)


def test_a_scene_without_any_seg_is_no_error(template: Template) -> None:
    """A scene with refusals only, found among many with one expression each."""
    for seed in range(200):
        alone = draw_tuning_batch(
            [seed], template, CURRICULUM[0], window=False, sizes=Sizes(family(128), 256, 1)
        )
        if not len(alone.segs):
            assert alone.segs.shape == (0, 3) and alone.masks.shape == (0, 64, 64)
            return
    pytest.fail("every scene has a [SEG]")
