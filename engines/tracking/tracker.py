"""The tracker of one stream: SAM-2 with its memory, all objects in one batch.

A step: encode the memory of the frame before, write late answers into memory, encode the frame, attend to the
memories and decode every object, update the lifecycles, return the tracks. Without objects nothing is
computed, not even the image features: a pin holds the image, and its features are computed when an answer
needs them.

Memory is encoded after the tracks have been returned, so that it does not delay them: by `commit_memory`, or
else at the start of the next step.

A late answer is a memory write, not a rewind: its mask becomes a conditioning memory on the features of its
keyframe, and the next frame attends to it.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engines.geometry import mask_iou, to_square, to_square_mask
from engines.masks import EncodedMask, mask_from_logits, non_overlapping_masks
from engines.tracking import lifecycle
from engines.tracking.association import Association, BoolMask, associate
from engines.tracking.compiled import CompiledTracker
from engines.tracking.memory_bank import MemoryBank, ObjectMemory
from engines.tracking.memory_policy import PRODUCT, TrackerPolicy
from engines.tracking.network import (
    DecodedObjects,
    FeatureLevels,
    TrackerRunners,
    finite_rows,
    is_valid_click,
)
from engines.tracking.non_overlapping import NonOverlappingPairs, apply_non_overlapping_constraints
from engines.tracking.state import (
    FrameFeatures,
    TrackedObject,
    TrackerCounts,
    TrackerState,
    from_bytes,
)
from streaming.errors import InvalidMessage
from streaming.vocabulary import Answer, Click, Frame, Logits, QueryId, Track, TrackId, TrackState

MISSES_TO_END: Final = 2
"Consecutive answers without a mask for a visible track that end it: a single answer may be wrong."
MIN_AREA_CELLS: Final = 4
"Least area of a visible mask, in cells of the logits."
_MAX_QUERIES: Final = 256
"Queries whose newest revision is stored; far more than a stream has."


@dataclass(frozen=True, slots=True, eq=False)
class _AnswerMask:
    """A mask of an answer on its keyframe."""

    phrase: str
    logits: Logits
    mask: BoolMask
    "At the size of the decoder's logits."


@dataclass(frozen=True, slots=True, eq=False)
class _PendingMemory:
    """A tracked frame whose memory is not encoded yet. Its arrays are the runners' output buffers."""

    levels: FeatureLevels
    decoded: DecodedObjects
    rows: NDArray[np.bool_]
    "Rows to remember."


class SamTracker:
    """See `engines.protocols.Tracker`.

    compiled: shared by all trackers of the process. capacity: objects at a time; further ones are refused and
    counted. pins: keyframes held for their answers; the oldest is dropped. policy: see `memory_policy.py`.
    """

    def __init__(
        self,
        compiled: CompiledTracker,
        *,
        capacity: int = 16,
        pins: int = 8,
        policy: TrackerPolicy = PRODUCT,
    ) -> None:
        self.shape = compiled.shape
        self._compiled = compiled
        self._policy = policy
        self.counts = TrackerCounts()
        self._bank = MemoryBank(compiled.shape, capacity, policy)
        self._pin_capacity = pins
        self._next_id = 1
        self.reset()

    def reset(self) -> None:
        """See `engines.protocols.Tracker.reset`. Creates new runners as well."""
        self._runners = TrackerRunners(self._compiled, self._policy)
        self._pending: _PendingMemory | None = None
        while self._bank.rows:
            self._bank.remove(self._bank.rows - 1)
        self._objects: list[TrackedObject] = []
        self._pairs = NonOverlappingPairs()
        self._ended: list[TrackedObject] = []
        self._pins: OrderedDict[int, FrameFeatures] = OrderedDict()
        self._revisions: OrderedDict[QueryId, int] = OrderedDict()
        self._released: OrderedDict[QueryId, int] = OrderedDict()
        self._current: FrameFeatures | None = None
        self._steps = 0

    @property
    def nbytes(self) -> int:
        """Bytes of the memory bank and the pins."""
        pinned = [array for pin in self._pins.values() for array in (pin.image, *(pin.levels or ()))]
        return self._bank.nbytes + sum(int(array.nbytes) for array in pinned)

    def step(self, frame: Frame, answers: Sequence[Answer | Click] = ()) -> list[Track]:
        """See `engines.protocols.Tracker.step`."""
        self.commit_memory()
        for answer in answers:
            self._apply_answer(answer)
        self._steps += 1
        image = to_square(frame.pixels, self.shape.side_px)
        self._current = FrameFeatures(frame.index, self._steps, image)
        tracks = [_track(ended, 0.0, None) for ended in self._ended]
        self._ended = []
        if self._objects:
            tracks += self._track_objects(self._current, frame.size)
        return tracks

    def commit_memory(self) -> None:
        """See `engines.protocols.Tracker.commit_memory`."""
        pending, self._pending = self._pending, None
        if pending is not None:
            memory = self._runners.encode_memory(pending.levels, pending.decoded)
            self._bank.write_recent(memory, pending.decoded.obj_ptr, pending.rows & finite_rows(memory))

    def pin(self, frame_index: int) -> None:
        """See `engines.protocols.Tracker.pin`. A frame other than the one just stepped is ignored."""
        current = self._current
        if current is None or current.frame_index != frame_index or self._pins.get(frame_index) is current:
            return
        if current.levels is not None:  # still the encoder's own buffers
            current.levels = _copied(current.levels)
        self._pins.pop(frame_index, None)  # a restarted source counts its frames from 0 again
        while len(self._pins) >= self._pin_capacity:
            self._pins.popitem(last=False)
        self._pins[frame_index] = current

    @property
    def changes(self) -> Hashable:
        """See `engines.protocols.Tracker.changes`."""
        tracks = tuple((one.track_id, one.revision, one.life.state) for one in self._objects)
        return self._bank.writes, self._next_id, tracks

    def snapshot(self) -> TrackerState:
        """See `engines.protocols.Tracker.snapshot`."""
        self.commit_memory()
        return TrackerState(
            fingerprint=self._compiled.fingerprint,
            steps=self._steps,
            next_id=self._next_id,
            objects=[replace(one) for one in self._objects],
            revisions=dict(self._revisions),
            non_overlapping=self._pairs.export(),
            bank=self._bank.snapshot(),
        )

    def restore(self, data: bytes) -> None:
        """See `engines.protocols.Tracker.restore`."""
        state = from_bytes(data)
        if state.fingerprint != self._compiled.fingerprint:
            raise InvalidMessage("The tracker state was stored with other weights.")
        if state.bank.rows != len(state.objects):
            raise InvalidMessage(f"The memory bank does not have {len(state.objects)} rows, one per track.")
        self._bank.restore(state.bank)
        self._pending = self._current = None
        self._objects, self._ended = list(state.objects), []
        self._pins, self._released = OrderedDict(), OrderedDict()
        self._revisions = OrderedDict(state.revisions)
        self._pairs = NonOverlappingPairs(state.non_overlapping)
        self._steps = state.steps
        self.skip_ids(state.next_id)

    def skip_ids(self, next_id: int) -> None:
        """See `engines.protocols.Tracker.skip_ids`."""
        self._next_id = max(self._next_id, next_id)

    def release(self, query_id: QueryId) -> None:
        """See `engines.protocols.Tracker.release`. Later answers about frames stepped before are ignored."""
        self._end_rows([row for row, one in enumerate(self._objects) if one.query_id == query_id])
        self._revisions.pop(query_id, None)
        self._released[query_id] = self._steps
        _limit(self._released)

    # --- answers ----------------------------------------------------------------------------------

    def _apply_answer(self, answer: Answer | Click) -> None:
        pin = self._pins.get(answer.keyframe_index)
        newest = self._revisions.get(answer.query_id, 0)
        was_released = pin is not None and pin.step <= self._released.get(answer.query_id, -1)
        if pin is None or was_released or answer.revision < newest:
            self.counts.ignored_answers += 1
            return
        self._revisions[answer.query_id] = answer.revision
        self._revisions.move_to_end(answer.query_id)
        _limit(self._revisions)
        if isinstance(answer, Click):
            self._apply_click(pin, answer)
        else:
            self._apply_masks(pin, answer, edited=answer.revision > newest)

    def _apply_masks(self, pin: FrameFeatures, answer: Answer, *, edited: bool) -> None:
        """Associate an answer's masks with the query's tracks; update, end and start tracks."""
        shown = self._answer_masks(answer)
        rows = self._rows_of(answer.query_id)
        track_masks = [pin.masks.get(self._objects[row].track_id) for row in rows]
        found = associate([one.mask for one in shown], track_masks, reacquire=not edited)
        # An answer without masks is no evidence against a visible track.
        ending = self._rows_to_end(answer, rows, found if shown else replace(found, missed=()))
        free = self._bank.capacity - self._bank.rows + len(ending)
        self.counts.refused_objects += max(0, len(found.new) - free)
        new = found.new[:free]
        wanted = [mask for mask, _ in found.pairs] + list(new)
        memories = self._encode_prompts(pin, [shown[k].logits for k in wanted])
        memory_of = dict(zip(wanted, memories, strict=True))
        for mask, track in found.pairs:
            self._update_track(pin, rows[track], answer, shown[mask], memory_of[mask])
        self._end_rows(ending)  # row numbers change here; new tracks take the freed rows
        for mask in new:
            self._start_track(pin, answer, shown[mask], memory_of[mask])

    def _answer_masks(self, answer: Answer) -> list[_AnswerMask]:
        """Return the masks of an answer that are not empty."""
        shape = answer.logits.shape
        if len(shape) != 3 or shape[0] < len(answer.prompts) or 0 in shape[1:]:
            self.counts.refused_prompts += max(1, len(answer.prompts))
            return []
        shown = []
        for prompt, logits in zip(answer.prompts, answer.logits, strict=False):
            mask = to_square_mask(logits, self.shape.low_res_px)
            if mask.any():
                shown.append(_AnswerMask(prompt.phrase, logits, mask))
        self.counts.refused_prompts += len(answer.prompts) - len(shown)
        return shown

    def _apply_click(self, pin: FrameFeatures, click: Click) -> None:
        if not is_valid_click(click):
            self.counts.refused_prompts += 1
            return
        decoded, memory = self._runners.decode_click(self._levels_of(pin), click)
        # A click on nothing starts a track that is not visible and ends as a tentative track.
        mask = (decoded.logits[0] > 0) & (decoded.object_score[0] > 0)
        shown = _AnswerMask(click.phrase, decoded.logits[0], mask)
        rows = self._rows_of(click.query_id)
        track_masks = [pin.masks.get(self._objects[row].track_id) for row in rows]
        found = associate([mask], track_masks, reacquire=True)
        if found.pairs:
            self._update_track(pin, rows[found.pairs[0][1]], click, shown, memory)
        elif self._bank.full:
            self.counts.refused_objects += 1
        else:
            self._start_track(pin, click, shown, memory)

    def _rows_of(self, query_id: QueryId) -> list[int]:
        return [row for row, one in enumerate(self._objects) if one.query_id == query_id]

    def _encode_prompts(self, pin: FrameFeatures, masks: list[Logits]) -> list[ObjectMemory | None]:
        return self._runners.encode_mask_prompts(self._levels_of(pin), masks) if masks else []

    def _levels_of(self, pin: FrameFeatures) -> FeatureLevels:
        if pin.levels is None:
            pin.levels = _copied(self._runners.encode_image(pin.image))
        return pin.levels

    def _agrees(self, pin: FrameFeatures, row: int, mask: BoolMask) -> bool:
        """Whether a track's own mask on the keyframe is close enough to the answer's to keep its memories."""
        own, least = pin.masks.get(self._objects[row].track_id), self._policy.reset_memory_iou
        return least == 0 or (own is not None and mask_iou(mask, own) >= least)

    def _rows_to_end(self, answer: Answer, rows: list[int], found: Association) -> list[int]:
        """Return the query's rows that its answer ends; counts misses."""
        paired = {rows[track] for _, track in found.pairs}
        ending = {row for row in set(rows) - paired if self._objects[row].revision < answer.revision}
        ending.update(rows[track] for track in found.duplicates)
        for track in found.missed:
            one = self._objects[rows[track]]
            one.misses += 1
            if one.misses >= MISSES_TO_END:
                ending.add(rows[track])
        return sorted(ending)

    def _update_track(
        self,
        pin: FrameFeatures,
        row: int,
        answer: Answer | Click,
        shown: _AnswerMask,
        memory: ObjectMemory | None,
    ) -> None:
        one = self._objects[row]
        one.revision, one.keyframe_index, one.misses = answer.revision, answer.keyframe_index, 0
        one.phrase = shown.phrase
        one.life = lifecycle.confirm(one.life)
        if memory is not None:
            if not self._agrees(pin, row, shown.mask):
                self._bank.clear(row)
            self._bank.write_cond(row, memory, self._steps - pin.step)
        self._compare_masks(pin, one, shown.mask)

    def _start_track(
        self, pin: FrameFeatures, answer: Answer | Click, shown: _AnswerMask, memory: ObjectMemory | None
    ) -> None:
        if memory is None:
            self.counts.unsound_rows += 1
            return
        row = self._bank.add()
        self._bank.write_cond(row, memory, self._steps - pin.step)
        track_id = TrackId(self._next_id)
        self._next_id += 1
        one = TrackedObject(track_id, answer.query_id, answer.revision, shown.phrase, answer.keyframe_index)
        self._objects.append(one)
        assert row == len(self._objects) - 1
        self._compare_masks(pin, one, shown.mask)

    def _compare_masks(self, pin: FrameFeatures, one: TrackedObject, mask: BoolMask) -> None:
        """Update the pairs of distinct objects by a mask that an answer gave on a keyframe."""
        pin.masks[one.track_id] = mask
        alive = [other.track_id for other in self._objects]
        self._pairs.update(one.track_id, mask, {other: pin.masks.get(other) for other in alive})

    def _end_rows(self, rows: list[int]) -> None:
        """End tracks; the next step reports them."""
        for row in sorted(rows, reverse=True):
            self._objects[row].life = lifecycle.end(self._objects[row].life)
            self._ended.append(self._remove_row(row))

    def _remove_row(self, row: int) -> TrackedObject:
        self.commit_memory()  # before row numbers change
        removed = self._objects[row]
        self._pairs.remove(removed.track_id)
        moved = self._bank.remove(row)
        last = self._objects.pop()
        if moved is not None:
            self._objects[row] = last
        return removed

    # --- frames -----------------------------------------------------------------------------------

    def _track_objects(self, current: FrameFeatures, size: tuple[int, int]) -> list[Track]:
        """Track every object on a frame of that (height, width)."""
        current.levels = self._runners.encode_image(current.image)
        decoded = self._runners.track(current.levels, self._bank.batch())
        finite = finite_rows(*decoded)
        decoded, iou = self._without_overlaps(decoded)
        remembered = finite & (iou >= self._policy.min_memory_iou)
        if self._steps % self._policy.memory_temporal_stride == 0 and remembered.any():
            self._pending = _PendingMemory(current.levels, decoded, remembered)
        present = (decoded.object_score > 0) & (iou >= self._policy.min_visible_iou)
        rows = zip(self._objects, decoded.logits, present, finite, strict=True)
        visible = [self._advance(*row) for row in rows]
        tracks = []
        for row, mask in enumerate(self._published_masks(decoded.logits, visible, size)):
            one = self._objects[row]
            current.masks[one.track_id] = decoded.logits[row] > 0 if mask is not None else None
            score = _sigmoid(float(decoded.object_score[row])) if finite[row] else 0.0
            tracks.append(_track(one, score, mask))
        for row in reversed([row for row, one in enumerate(self._objects) if one.life.ended]):
            self._remove_row(row)
        return tracks

    def _without_overlaps(self, decoded: DecodedObjects) -> tuple[DecodedObjects, NDArray[np.float32]]:
        """Remove pixels that distinct objects take; return predicted IoUs too, 0 where out of view."""
        iou = np.where(decoded.object_score > 0, decoded.iou, 0.0)
        if self._policy.non_overlap_min_share == 0 or len(self._objects) < 2:
            return decoded, iou
        pairs = self._pairs.matrix([one.track_id for one in self._objects])
        reliable = iou >= self._policy.min_memory_iou
        logits, retained = apply_non_overlapping_constraints(decoded.logits, pairs, reliable)
        enough = retained >= self._policy.non_overlap_min_share
        return decoded._replace(logits=logits), np.where(enough, iou, 0.0)

    def _advance(self, one: TrackedObject, logits: Logits, present: np.bool_, finite: np.bool_) -> bool:
        """Advance a track's lifecycle by this frame; return whether the object is visible."""
        if not finite:
            self.counts.unsound_rows += 1
            one.life = lifecycle.mark_lost(one.life)
            return False
        visible = bool(present and np.count_nonzero(logits > 0) >= MIN_AREA_CELLS)
        life = lifecycle.advance(one.life, visible=visible)
        keep = life.ended and not self._policy.end_unseen_tracks
        one.life = lifecycle.mark_lost(one.life) if keep else life
        return visible

    def _published_masks(
        self, logits: Logits, visible: list[bool], size: tuple[int, int]
    ) -> list[EncodedMask | None]:
        """Return masks at source size (height, width), None for objects that are not visible."""
        if self._policy.non_overlapping_masks:
            masks = non_overlapping_masks(logits[visible], size)
        else:
            masks = [mask_from_logits(one, size) for one in logits[visible]]
        remaining = iter(masks)
        return [next(remaining) if one else None for one in visible]


def _track(one: TrackedObject, score: float, mask: EncodedMask | None) -> Track:
    if one.life.state in (TrackState.LOST, TrackState.ENDED):
        mask = None
    return Track(
        track_id=one.track_id,
        query_id=one.query_id,
        revision=one.revision,
        phrase=one.phrase,
        state=one.life.state,
        score=score,
        box_px=mask.box_px if mask else None,
        mask=mask.rle if mask else None,
        keyframe_index=one.keyframe_index,
    )


def _copied(levels: FeatureLevels) -> FeatureLevels:
    """Copy features out of the encoder's output buffers."""
    features, high_res_s1, high_res_s0 = (level.copy() for level in levels)
    return features, high_res_s1, high_res_s0


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-max(-60.0, min(60.0, x))))


def _limit(queries: OrderedDict[QueryId, int]) -> None:
    """Drop the oldest entries beyond _MAX_QUERIES."""
    while len(queries) > _MAX_QUERIES:
        queries.popitem(last=False)
