"""Laws of looking at a keyframe."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from engines.geometry import to_square
from engines.grounding.checkpoints import Sa2Va
from engines.grounding.image_processing import normalise
from engines.grounding.keyframe_features import Sight, is_about_change
from engines.grounding.packing import pack
from lab.training.language.lexicon import TEMPLATES
from lab.training.language.motion_expressions import MOTION_FACTS
from lab.training.trainable_grounder import fresh_grounder
from lab.training.world.scenes import draw_clip
from streaming.vocabulary import Clock, Frame, Keyframe, StreamId

CONTESTS = ("fastest", "slowest")
ASKED = ("is moving", "which way")


@pytest.fixture(scope="module")
def nano() -> Sa2Va:
    torch.set_num_threads(1)
    checkpoint = fresh_grounder(4)
    checkpoint.model.eval().requires_grad_(False)
    return checkpoint


@pytest.fixture
def looks(nano: Sa2Va, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The mean of every picture that is looked at."""
    seen: list[float] = []
    look = nano.model.look

    def remembered(pixels: torch.Tensor) -> Any:
        seen.append(float(pixels.mean()))
        return look(pixels)

    monkeypatch.setattr(nano.model, "look", remembered)
    return seen


def _keyframe(earlier: int) -> Keyframe:
    pictures = draw_clip(8, frames=earlier + 1, size=(90, 160)).frames
    frame = Frame(StreamId("cam"), 17, pictures[-1], pts_s=0.5, captured_s=1.0, clock=Clock.ARRIVAL)
    return Keyframe(frame, (), 1.0, earlier=tuple(pictures[:-1]))


def test_all_words_about_movement_are_about_change_and_no_others() -> None:
    slots = dict.fromkeys(
        ("one", "many", "other", "another", "a", "number", "nth", "colour", "list"), "red cup"
    )
    for meaning, ways in TEMPLATES.items():
        expected = meaning in (*MOTION_FACTS, *CONTESTS, *ASKED)
        for way in ways:
            text = way.format(**slots, first="a red cup", second="a green cup")
            assert is_about_change(text) == expected, text


def test_case_and_marks_do_not_matter() -> None:
    assert is_about_change("The one MOVING.")
    assert is_about_change("does it move?")


def test_a_picture_is_looked_at_once_and_the_past_only_when_it_is_wanted(
    nano: Sa2Va, looks: list[float]
) -> None:
    sight = Sight(nano, _keyframe(earlier=2))
    question = [nano.template.question("the star")]
    sight.prefix(past=False).read(question)
    sight.prefix(past=False).read(question)
    assert len(looks) == 1
    sight.prefix(past=True).read(question)
    assert len(looks) == 3


def test_the_past_is_read_from_oldest_to_newest(nano: Sa2Va) -> None:
    keyframe = _keyframe(earlier=2)
    question = nano.template.question("the moving star")
    pictures = np.stack([to_square(p, nano.look_px) for p in (*keyframe.earlier, keyframe.frame.pixels)])
    tokens = nano.model.look(normalise(pictures)).tokens.flatten(0, 1)[None]
    expected = nano.model.read(tokens, pack(nano.template.prefix(3), [[question]])).hidden
    seen = Sight(nano, keyframe).prefix(past=True).read([question]).hidden
    torch.testing.assert_close(seen, expected[:, -len(question) :], atol=1e-4, rtol=1e-4)


def test_a_past_that_is_too_short_is_none(nano: Sa2Va, looks: list[float]) -> None:
    sight = Sight(nano, _keyframe(earlier=1))
    assert sight.prefix(past=True) is sight.prefix(past=False)
    assert len(looks) == 1


def test_nothing_is_looked_at_before_it_is_asked_about(nano: Sa2Va, looks: list[float]) -> None:
    Sight(nano, _keyframe(earlier=2))
    assert looks == []


def test_maps_are_of_the_keyframe_itself(nano: Sa2Va) -> None:
    long, short = _keyframe(earlier=2), _keyframe(earlier=2)
    short = Keyframe(short.frame, (), 1.0)
    one, other = Sight(nano, long).maps[2], Sight(nano, short).maps[2]
    assert one.shape == (1, 128, 16, 16)
    np.testing.assert_array_equal(one.numpy(), other.numpy())
