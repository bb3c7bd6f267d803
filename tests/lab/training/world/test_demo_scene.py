"""The demo's suggested expressions are true, and its loop is seamless."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from lab.training.language.frame_facts import FrameFacts
from lab.training.language.noun_phrases import NounPhrase, referents_of
from lab.training.language.stable_expressions import stable_expressions
from lab.training.world.demo_scene import EXPRESSIONS, LOOP_S, demo_labels, render_demo
from lab.training.world.holdout import is_held_out
from lab.training.world.levels import CURRICULUM
from lab.training.world.scenes import Clip, assemble_clip

FPS = 10
LABELS = demo_labels()
SAMPLES = range(10, round(FPS * LOOP_S), 9)


@cache
def clip() -> Clip:
    """One loop at low resolution."""
    rendered_frames = list(render_demo(LOOP_S, FPS, size=(90, 160)))
    frames = np.stack([rendered.image for rendered in rendered_frames])
    return assemble_clip(frames, rendered_frames, LABELS, step_s=1 / FPS, seed=0, level=CURRICULUM[-1])


@cache
def expressions_at(frame: int) -> dict[str, tuple[int, ...]]:
    """Expressions about a frame in the plainest wording, with their referents."""
    return {one.text: one.referents for one in stable_expressions(clip(), [frame], variant=0)}


@cache
def visible_share() -> np.ndarray:
    """(T, N)."""
    return np.asarray(clip().masks.sum(axis=(2, 3)) / clip().amodal_area_px)


def test_no_label_is_held_out() -> None:
    assert not any(is_held_out(label) for label in LABELS)
    assert len(set(LABELS)) == len(LABELS)
    assert {label.category for label in LABELS} <= set(CURRICULUM[-1].categories)


def test_the_loop_is_seamless() -> None:
    first, *_, last = render_demo(LOOP_S + 0.1, FPS, size=(90, 160))
    assert (first.image == last.image).all()
    assert (first.instance_map == last.instance_map).all()


@pytest.mark.parametrize("text", [text for text, labels in EXPRESSIONS.items() if labels])
def test_a_suggested_expression_has_its_referents_whenever_they_are_certain(text: str) -> None:
    referents = tuple(sorted(LABELS.index(label) for label in EXPRESSIONS[text]))
    certain = [(frame, expressions_at(frame)[text]) for frame in SAMPLES if text in expressions_at(frame)]
    assert len(certain) >= len(SAMPLES) // 3, "on at least a third of the frames"
    for frame, found in certain:
        in_sight = tuple(index for index in referents if visible_share()[frame, index] > 0)
        assert found == in_sight


def test_the_absent_label_never_occurs_but_its_category_and_its_colour_do() -> None:
    (text,) = [text for text, labels in EXPRESSIONS.items() if not labels]
    _, colour, category = text.split()
    assert {colour, category} <= {name for label in LABELS for name in label}
    noun = NounPhrase(category, colour)
    assert all(referents_of(FrameFacts(clip(), frame), noun) in ((), None) for frame in SAMPLES)


def test_three_objects_stay_in_the_image_and_the_others_leave_and_return() -> None:
    in_sight = visible_share() > 0
    assert in_sight.all(axis=0).sum() >= 3
    for index in np.flatnonzero(~in_sight.all(axis=0)):
        (gone,) = np.nonzero(np.diff(in_sight[:, index].astype(int)) == -1)
        assert len(gone) >= 2, "in every period"
        assert in_sight[gone[0] + 1 :, index].any()


def test_objects_occlude_each_other() -> None:
    occluded = (visible_share() < 0.6) & (clip().boxes_px[..., 0] > 0) & (clip().boxes_px[..., 2] < 160)
    assert occluded.any(axis=0).sum() >= 2
    assert occluded.any(axis=1).mean() < 0.5, "but not most of the time"


def test_an_object_stops() -> None:
    assert any(text.endswith("that stopped") for frame in SAMPLES for text in expressions_at(frame))


def test_mostly_four_or_five_objects_are_visible() -> None:
    visible = (visible_share() > 0.4).sum(axis=1)
    assert np.isin(visible, (4, 5)).mean() > 0.7
