"""Laws of one stream, with the real graphs and random weights of nano's shape.

Streamed equals whole; streams that share a compiled tracker do not affect each other; a restored tracker
continues identically. (Causality, that a future frame changes no past result, is tested in test_tracker.py.)
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
from lab.evaluation.propagation import answer_from_masks
from lab.training.initial_weights import initial_tracker
from lab.training.trainable_tracker import TrainableTracker
from lab.training.world.scenes import Clip, draw_clip
from streaming.errors import InvalidMessage, LimitReached
from streaming.vocabulary import Answer, Clock, Frame, QueryId, StreamId, Track
from tests.recorded_program import RecordedProgram

FRAMES = 10


@pytest.fixture(scope="module")
def weights() -> TrackerWeights:
    model = initial_tracker(3).eval().requires_grad_(False)
    # A high object score: random weights would never find the object present.
    model.mask_decoder.pred_obj_score_head.proj_out.bias.fill_(3.0)
    return TrackerWeights("fresh", model)


@pytest.fixture(scope="module")
def compiled(weights: TrackerWeights) -> CompiledTracker:
    return compile_tracker(weights, TorchBackend())


def frame_of(clip: Clip, index: int) -> Frame:
    return Frame(StreamId("s"), index, clip.frames[index], index / 30, 0.0, Clock.ARRIVAL)


def answer_about(clip: Clip, index: int, query: str = "q") -> Answer:
    answer = answer_from_masks(clip.masks[index, :2])
    return replace(answer, keyframe_index=index, query_id=QueryId(query))


def steps(tracker: SamTracker, clip: Clip, indices: Sequence[int]) -> list[list[Track]]:
    """Step frames, with an answer about frame 0 at frame 1 and another about frame 4 at frame 7."""
    seen = []
    for index in indices:
        late = {1: 0, 7: 4}.get(index)
        answers = [] if late is None else [answer_about(clip, late)]
        seen.append(tracker.step(frame_of(clip, index), answers))
        tracker.pin(index)
    return seen


def stored(tracker: SamTracker) -> bytes:
    return b"".join(tracker.snapshot().to_chunks())


def test_streamed_equals_whole(weights: TrackerWeights, compiled: CompiledTracker) -> None:
    """Frame by frame as in the service, against the whole clip at once as in training."""
    clip, side = draw_clip(5, frames=FRAMES, size=(256, 256)), compiled.shape.side_px
    recorded = RecordedProgram(compiled.track, [])
    # In training objects do not affect each other.
    everything = replace(
        PRODUCT, memory_temporal_stride=1, min_memory_iou=0.0, reset_memory_iou=0.0, non_overlap_min_share=0.0
    )
    tracker = SamTracker(replace(compiled, track=recorded), policy=everything)
    masks = clip.masks[0, :2]
    logits = np.where(masks, 10.0, -10.0).astype(np.float32)
    tracker.step(frame_of(clip, 0))
    tracker.pin(0)
    for index in range(1, FRAMES):
        answers = [replace(answer_from_masks(masks), logits=logits)] if index == 1 else []
        tracker.step(frame_of(clip, index), answers)
    with torch.inference_mode():
        prompts = {0: torch.from_numpy(masks).float()}
        whole = TrainableTracker(weights.model).track_clips(torch.from_numpy(clip.frames)[None], prompts)
    assert masks.shape[1:] == (side, side) and len(recorded.outputs) == len(whole) == FRAMES - 1
    for (streamed, _, score, _), (at_once, _, its_score) in zip(recorded.outputs, whole, strict=True):
        np.testing.assert_allclose(streamed, at_once.numpy(), atol=2e-3, rtol=1e-3)
        np.testing.assert_allclose(score, its_score.numpy(), atol=1e-3)


def test_streams_in_turns_are_bit_equal_to_each_alone(compiled: CompiledTracker) -> None:
    """With and without commit_memory between frames."""
    clips = [draw_clip(seed, frames=FRAMES) for seed in (5, 9)]
    alone = [SamTracker(compiled) for _ in clips]
    expected = [steps(tracker, clip, range(FRAMES)) for tracker, clip in zip(alone, clips, strict=True)]
    together = [SamTracker(compiled) for _ in clips]
    seen: list[list[list[Track]]] = [[], []]
    for index in range(FRAMES):
        for stream, clip in enumerate(clips):
            seen[stream] += steps(together[stream], clip, [index])
            together[stream].commit_memory()
    assert seen == expected and any(track.mask for track in expected[0][-1])
    assert [stored(one) for one in together] == [stored(one) for one in alone], "including their memories"


@pytest.mark.parametrize("policy", [PRODUCT, AS_SAM2], ids=["product", "as SAM-2"])
def test_a_restored_tracker_continues_with_the_same_tracks_and_state(
    compiled: CompiledTracker, policy: TrackerPolicy
) -> None:
    """After the frame of the answer, with one tracked memory: everything is in the snapshot."""
    clip = draw_clip(5, frames=FRAMES)
    whole, restored = SamTracker(compiled, policy=policy), SamTracker(compiled, policy=policy)
    steps(whole, clip, range(2))
    restored.restore(stored(whole))
    assert stored(restored) == stored(whole)
    rest = range(2, 4)
    assert steps(restored, clip, rest) == steps(whole, clip, rest)
    assert stored(restored) == stored(whole)


def test_a_tracker_restored_late_follows_the_same_objects(compiled: CompiledTracker) -> None:
    clip = draw_clip(5, frames=FRAMES)
    whole, restored = SamTracker(compiled), SamTracker(compiled)
    steps(whole, clip, range(FRAMES - 1))
    restored.restore(stored(whole))
    after, expected = (steps(tracker, clip, [FRAMES - 1])[0] for tracker in (restored, whole))
    assert [(track.track_id, track.state, track.phrase) for track in after] == [
        (track.track_id, track.state, track.phrase) for track in expected
    ]


def test_a_tracker_changes_with_each_memory_and_not_without(compiled: CompiledTracker) -> None:
    clip = draw_clip(5, frames=FRAMES)
    tracker = SamTracker(compiled, policy=AS_SAM2)
    before = tracker.changes
    tracker.step(frame_of(clip, 0))
    tracker.pin(0)
    tracker.commit_memory()
    assert tracker.changes == before, "there is nothing to remember"
    seen = {before}
    for index in (1, 2, 3):
        tracker.step(frame_of(clip, index), [answer_about(clip, 0)] if index == 1 else [])
        tracker.commit_memory()
        seen.add(tracker.changes)
    tracker.release(QueryId("q"))
    assert len(seen | {tracker.changes}) == 5


def test_track_ids_are_not_reused_after_a_restore(compiled: CompiledTracker) -> None:
    clip = draw_clip(5, frames=FRAMES)
    first = SamTracker(compiled)
    steps(first, clip, range(4))
    restored = SamTracker(compiled)
    restored.restore(stored(first))
    restored.release(QueryId("q"))
    restored.step(frame_of(clip, 4))
    restored.pin(4)
    tracks = restored.step(frame_of(clip, 5), [answer_about(clip, 4, "other")])
    assert sorted(track.track_id for track in tracks) == [3, 4]


def test_skipped_ids_are_not_used(compiled: CompiledTracker) -> None:
    clip = draw_clip(5, frames=FRAMES)
    tracker = SamTracker(compiled)
    tracker.skip_ids(40)
    tracker.skip_ids(7)
    assert [track.track_id for track in steps(tracker, clip, range(2))[1]] == [40, 41]


def test_a_refused_restore_changes_nothing(compiled: CompiledTracker) -> None:
    clip = draw_clip(5, frames=FRAMES)
    full, small = SamTracker(compiled), SamTracker(compiled, capacity=1)
    other = SamTracker(replace(compiled, fingerprint="other weights"))
    for tracker in (full, small, other):
        steps(tracker, clip, range(3))
    before = stored(small), stored(other)
    with pytest.raises(LimitReached, match="2 objects does not fit into 1"):
        small.restore(stored(full))
    with pytest.raises(InvalidMessage, match="other weights"):
        other.restore(stored(full))
    assert (stored(small), stored(other)) == before
