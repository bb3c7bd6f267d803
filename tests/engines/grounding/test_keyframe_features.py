"""Laws of keyframe features."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from engines.geometry import to_square
from engines.grounding.checkpoints import Sa2Va
from engines.grounding.image_processing import normalise
from engines.grounding.keyframe_features import KeyframeFeatures, is_about_change
from engines.grounding.packing import pack
from lab.training.initial_weights import initial_grounder
from lab.training.language.lexicon import TEMPLATES
from lab.training.language.motion_expressions import MOTION_FACTS
from lab.training.world.scenes import draw_clip
from streaming.vocabulary import Clock, Frame, Keyframe, StreamId

CONTESTS = ("fastest", "slowest")
ASKED = ("is moving", "which way")


@pytest.fixture(scope="module")
def nano() -> Sa2Va:
    torch.set_num_threads(1)
    checkpoint = initial_grounder(4)
    checkpoint.model.eval().requires_grad_(False)
    return checkpoint


@pytest.fixture
def encoded_means(nano: Sa2Va, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Mean value of every image that is encoded."""
    means: list[float] = []
    encode = nano.model.encode_images

    def remembered(pixels: torch.Tensor) -> Any:
        means.append(float(pixels.mean()))
        return encode(pixels)

    monkeypatch.setattr(nano.model, "encode_images", remembered)
    return means


def _keyframe(earlier: int) -> Keyframe:
    images = draw_clip(8, frames=earlier + 1, size=(90, 160)).frames
    frame = Frame(StreamId("cam"), 17, images[-1], pts_s=0.5, captured_s=1.0, clock=Clock.ARRIVAL)
    return Keyframe(frame, (), 1.0, earlier=tuple(images[:-1]))


def test_exactly_the_motion_templates_are_about_change() -> None:
    slots = dict.fromkeys(
        ("one", "many", "other", "another", "a", "number", "nth", "colour", "list"), "red cup"
    )
    for meaning, ways in TEMPLATES.items():
        expected = meaning in (*MOTION_FACTS, *CONTESTS, *ASKED)
        for way in ways:
            text = way.format(**slots, first="a red cup", second="a green cup")
            assert is_about_change(text) == expected, text


def test_is_about_change_ignores_case_and_punctuation() -> None:
    assert is_about_change("The one MOVING.")
    assert is_about_change("does it move?")


def test_an_image_is_encoded_once_and_earlier_frames_only_on_demand(
    nano: Sa2Va, encoded_means: list[float]
) -> None:
    features = KeyframeFeatures(nano, _keyframe(earlier=2))
    question = [nano.template.segment_question("the star")]
    features.prefix(past=False).prefill(question)
    features.prefix(past=False).prefill(question)
    assert len(encoded_means) == 1
    features.prefix(past=True).prefill(question)
    assert len(encoded_means) == 3


def test_earlier_frames_are_read_from_oldest_to_newest(nano: Sa2Va) -> None:
    keyframe = _keyframe(earlier=2)
    question = nano.template.segment_question("the moving star")
    side_px = nano.config["vision_config"]["image_size"]
    images = np.stack([to_square(p, side_px) for p in (*keyframe.earlier, keyframe.frame.pixels)])
    tokens = nano.model.encode_images(normalise(images)).tokens.flatten(0, 1)[None]
    expected = nano.model.prefill(tokens, pack(nano.template.prefix(3), [[question]])).hidden
    hidden = KeyframeFeatures(nano, keyframe).prefix(past=True).prefill([question]).hidden
    torch.testing.assert_close(hidden, expected[:, -len(question) :], atol=1e-4, rtol=1e-4)


def test_too_few_earlier_frames_are_ignored(nano: Sa2Va, encoded_means: list[float]) -> None:
    features = KeyframeFeatures(nano, _keyframe(earlier=1))
    assert features.prefix(past=True) is features.prefix(past=False)
    assert len(encoded_means) == 1


def test_nothing_is_encoded_before_it_is_used(nano: Sa2Va, encoded_means: list[float]) -> None:
    KeyframeFeatures(nano, _keyframe(earlier=2))
    assert encoded_means == []


def test_feature_maps_are_of_the_keyframe_itself(nano: Sa2Va) -> None:
    long, short = _keyframe(earlier=2), _keyframe(earlier=2)
    short = Keyframe(short.frame, (), 1.0)
    one, other = KeyframeFeatures(nano, long).feature_maps[2], KeyframeFeatures(nano, short).feature_maps[2]
    assert one.shape == (1, 128, 16, 16)
    np.testing.assert_array_equal(one.numpy(), other.numpy())
