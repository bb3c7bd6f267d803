"""Laws of batching: a keyframe in a batch has the answers it has alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from engines.grounding import batching
from engines.grounding.checkpoints import Sa2Va, load_sa2va
from engines.grounding.grounder import MAX_PACKED, SaGrounder
from engines.grounding.keyframe_features import KeyframeFeatures
from lab.training.initial_weights import initial_grounder
from lab.training.world.scenes import draw_clip
from streaming.vocabulary import Clock, Frame, Keyframe, Query, QueryId, QueryKind, StreamId
from tests import published


@pytest.fixture(scope="module")
def nano() -> Sa2Va:
    torch.set_num_threads(1)
    checkpoint = initial_grounder(6)
    checkpoint.model.eval().requires_grad_(False)
    return replace(checkpoint, config={**checkpoint.config, "presence_threshold": 0.0})


def keyframe(seed: int, *texts: str, kind: QueryKind = QueryKind.REFER) -> Keyframe:
    stream = StreamId(f"cam{seed}")
    size = (90, 160) if seed % 2 else (64, 64)
    frame = Frame(stream, seed, draw_clip(seed, frames=1, size=size).frames[0], 0.0, 0.0, Clock.ARRIVAL)
    queries = (Query(QueryId(f"{seed}-{k}"), stream, text, kind) for k, text in enumerate(texts))
    return Keyframe(frame, tuple(queries), asked_s=0.0)


@pytest.fixture
def encoded_counts(nano: Sa2Va, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of images encoded by each call."""
    counts: list[int] = []
    encode = nano.model.encode_images

    def counted(pixels: torch.Tensor) -> object:
        counts.append(len(pixels))
        return encode(pixels)

    monkeypatch.setattr(nano.model, "encode_images", counted)
    return counts


def test_a_batch_is_encoded_once_and_answered_as_single_keyframes(
    nano: Sa2Va, encoded_counts: list[int]
) -> None:
    grounder = SaGrounder(nano)
    keyframes = [keyframe(1, "the red star"), keyframe(2, "the cup", "the blue box"), keyframe(3, "the ring")]
    answered = grounder.ground_batch(keyframes)
    assert encoded_counts == [3]
    for one, answers in zip(keyframes, answered, strict=True):
        alone = grounder.ground(one)
        assert [a.query_id for a in answers] == [q.query_id for q in one.queries]
        assert {a.keyframe_index for a in answers} == {one.frame.index}
        for ours, theirs in zip(answers, alone, strict=True):
            assert ours.text == theirs.text
            np.testing.assert_allclose(ours.logits, theirs.logits, atol=1e-2)
            for a, b in zip(ours.prompts, theirs.prompts, strict=True):
                np.testing.assert_allclose(a.embedding, b.embedding, atol=1e-3)
                assert a.presence == pytest.approx(b.presence, rel=1e-3)


@pytest.mark.parametrize(
    "other",
    [
        keyframe(4),
        keyframe(4, "the moving star"),
        keyframe(4, " "),
        keyframe(4, "how many?", kind=QueryKind.ASK),
        keyframe(4, *["the cup"] * (MAX_PACKED + 1)),
    ],
)
def test_keyframes_that_cannot_be_batched_are_answered_singly_in_order(
    nano: Sa2Va, encoded_counts: list[int], other: Keyframe
) -> None:
    """Empty query, query about change, question, more queries than fit in one prefill."""
    silent = SaGrounder(replace(nano, config={**nano.config, "answers_in_words": False}))
    answered = silent.ground_batch([keyframe(1, "the star"), other, keyframe(2, "the cup")])
    assert encoded_counts[0] == 2
    assert [len(answers) for answers in answered] == [1, len(other.queries), 1]
    assert [a.query_id for a in answered[1]] == [q.query_id for q in other.queries]


def test_time_is_divided_by_the_number_of_keyframes(nano: Sa2Va) -> None:
    first, second = SaGrounder(nano).ground_batch([keyframe(1, "the star"), keyframe(2, "the cup")])
    assert first[0].steps_s == second[0].steps_s
    assert first[0].ground_s == pytest.approx(
        sum((first[0].steps_s.look, first[0].steps_s.read, first[0].steps_s.draw))
    )


def test_feature_maps_of_a_row_equal_those_of_its_keyframe(nano: Sa2Va) -> None:
    keyframes = [keyframe(1), keyframe(2)]
    batch = batching.encode_keyframes(nano, keyframes)
    for row, one in enumerate(keyframes):
        for ours, theirs in zip(
            batch.feature_maps_of(row), KeyframeFeatures(nano, one).feature_maps, strict=True
        ):
            torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=1e-3)


def test_tiled_or_variable_size_images_are_not_a_single_tile(nano: Sa2Va, tmp_path: Path) -> None:
    still = keyframe(1)
    filmed = replace(still, earlier=(still.frame.pixels,))
    assert batching.is_single_tile(nano, still)
    tiled = replace(nano, max_tiles=4)
    assert not batching.is_single_tile(tiled, still) and batching.is_single_tile(tiled, filmed)
    published.write("qwen3_vl", tmp_path)
    assert not batching.is_single_tile(load_sa2va(tmp_path), still)
