"""Laws of one stream, with the real graphs on random weights of nano's shape.

Streamed equals whole; streams that share a network do not meet; what is restored goes on as before.
(That a future frame changes no past result follows: a step sees one frame. It is held in test_tracker.py.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from engines.backends.torch_backend import TorchBackend
from engines.tracking.checkpoints import TrackerWeights
from engines.tracking.compilation import compile_tracker
from engines.tracking.compiled import CompiledTracker
from engines.tracking.memory_policy import AS_SAM2, PRODUCT, TrackerPolicy
from engines.tracking.tracker import SamTracker
from lab.evaluation.propagation import given_answer
from lab.training.tracker_recipe import fresh_tracker
from lab.training.trainable_tracker import TrainedTracker
from lab.training.world.scenes import Clip, draw_clip
from streaming.errors import InvalidMessage, LimitReached
from streaming.vocabulary import Answer, Clock, Frame, QueryId, StreamId, Track
from tests.overheard import Overheard

FRAMES = 10


@pytest.fixture(scope="module")
def weights() -> TrackerWeights:
    model = fresh_tracker(3).eval().requires_grad_(False)
    # Present, whatever is seen: a random object would be away for good.
    model.mask_decoder.pred_obj_score_head.proj_out.bias.fill_(3.0)
    return TrackerWeights("fresh", model)


@pytest.fixture(scope="module")
def compiled(weights: TrackerWeights) -> CompiledTracker:
    return compile_tracker(weights, TorchBackend())


def frame_of(clip: Clip, index: int) -> Frame:
    return Frame(StreamId("s"), index, clip.frames[index], index / 30, 0.0, Clock.ARRIVAL)


def answer_about(clip: Clip, index: int, query: str = "q") -> Answer:
    given = given_answer(clip.masks[index, :2])
    return replace(given, keyframe_index=index, query_id=QueryId(query))


def steps(tracker: SamTracker, clip: Clip, indices: Sequence[int]) -> list[list[Track]]:
    """Frames with what is known about them: an answer about frame 0 at 1, and another about 4 at 7."""
    seen = []
    for index in indices:
        late = {1: 0, 7: 4}.get(index)
        answers = [] if late is None else [answer_about(clip, late)]
        seen.append(tracker.step(frame_of(clip, index), answers))
        tracker.pin(index)
    return seen


def test_streamed_equals_whole(weights: TrackerWeights, compiled: CompiledTracker) -> None:
    """Frame by frame as the service does it, against the whole clip at once as training does it."""
    clip, side = draw_clip(5, frames=FRAMES, size=(256, 256)), compiled.shape.side_px
    overheard = Overheard(compiled.track, [])
    # In training objects know nothing of each other.
    everything = replace(PRODUCT, remember_every=1, keep_iou=0.0, agreed_iou=0.0, rival_share=0.0)
    tracker = SamTracker(replace(compiled, track=overheard), policy=everything)
    masks = clip.masks[0, :2]
    logits = np.where(masks, 10.0, -10.0).astype(np.float32)
    tracker.step(frame_of(clip, 0))
    tracker.pin(0)
    for index in range(1, FRAMES):
        answers = [replace(given_answer(masks), logits=logits)] if index == 1 else []
        tracker.step(frame_of(clip, index), answers)
    with torch.inference_mode():
        prompts = {0: torch.from_numpy(masks).float()}
        whole = TrainedTracker(weights.model).follow(torch.from_numpy(clip.frames)[None], prompts)
    assert masks.shape[1:] == (side, side) and len(overheard.said) == len(whole) == FRAMES - 1
    for (streamed, _, score, _), (at_once, _, its_score) in zip(overheard.said, whole, strict=True):
        np.testing.assert_allclose(streamed, at_once.numpy(), atol=2e-3, rtol=1e-3)
        np.testing.assert_allclose(score, its_score.numpy(), atol=1e-3)


def test_streams_in_turns_are_bit_equal_to_each_alone(compiled: CompiledTracker) -> None:
    """Whether they settle between frames or not."""
    clips = [draw_clip(seed, frames=FRAMES) for seed in (5, 9)]
    alone = [SamTracker(compiled) for _ in clips]
    expected = [steps(tracker, clip, range(FRAMES)) for tracker, clip in zip(alone, clips, strict=True)]
    together = [SamTracker(compiled) for _ in clips]
    seen: list[list[list[Track]]] = [[], []]
    for index in range(FRAMES):
        for stream, clip in enumerate(clips):
            seen[stream] += steps(together[stream], clip, [index])
            together[stream].settle()
    assert seen == expected and any(track.mask for track in expected[0][-1])
    assert [one.export() for one in together] == [one.export() for one in alone], "their memories too"


@pytest.mark.parametrize("policy", [PRODUCT, AS_SAM2], ids=["product", "as SAM-2"])
def test_a_restored_tracker_goes_on_bit_equally(compiled: CompiledTracker, policy: TrackerPolicy) -> None:
    """After frame 5, with an answer about frame 4 still to come."""
    clip = draw_clip(5, frames=FRAMES)
    whole, heir = SamTracker(compiled, policy=policy), SamTracker(compiled, policy=policy)
    steps(whole, clip, range(6))
    heir.restore(whole.export())
    rest = range(6, FRAMES)
    assert steps(heir, clip, rest) == steps(whole, clip, rest)
    assert heir.export() == whole.export()


def test_ids_that_were_given_are_not_given_again_after_a_restore(compiled: CompiledTracker) -> None:
    clip = draw_clip(5, frames=FRAMES)
    first = SamTracker(compiled)
    steps(first, clip, range(4))
    heir = SamTracker(compiled)
    heir.restore(first.export())
    heir.release(QueryId("q"))
    heir.step(frame_of(clip, 4))
    heir.pin(4)
    tracks = heir.step(frame_of(clip, 5), [answer_about(clip, 4, "other")])
    assert sorted(track.track_id for track in tracks) == [3, 4]


def test_memories_of_other_weights_or_of_too_many_objects_change_nothing(compiled: CompiledTracker) -> None:
    clip = draw_clip(5, frames=FRAMES)
    full, small = SamTracker(compiled), SamTracker(compiled, capacity=1)
    other = SamTracker(replace(compiled, fingerprint="other weights"))
    for tracker in (full, small, other):
        steps(tracker, clip, range(3))
    before = small.export(), other.export()
    with pytest.raises(LimitReached, match="2 objects does not fit into 1"):
        small.restore(full.export())
    with pytest.raises(InvalidMessage, match="other weights"):
        other.restore(full.export())
    assert (small.export(), other.export()) == before
