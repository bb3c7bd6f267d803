"""The tracker of one stream: SAM-2 with its memory, every object in one batch.

A step: write late answers into the memory, look at the picture once, decode every object with its
memories, remember the result, say where everything is. Without objects nothing is computed, not
even the picture's features: a pin keeps the picture and they follow when an answer needs them.

A late answer is a memory write, not a rewind. Its mask is written as a conditioning memory on the
features of the keyframe it speaks of, and the next frame attends to it.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engines.backends.graph import Array
from engines.geometry import mask_iou, to_prompt, to_size, to_square
from engines.masks import DrawnMask, draw_mask
from engines.tracking import lifecycle
from engines.tracking.association import BoolMask, associate
from engines.tracking.compiled import CompiledTracker
from engines.tracking.lifecycle import Life
from engines.tracking.memory import Memory, MemoryBank
from streaming.vocabulary import Answer, Frame, Logits, Pixels, QueryId, Track, TrackId, TrackState

MISSES_TO_END: Final = 2
"Answers in a row that saw a query's object elsewhere: one may be wrong, two are not."
KEEP_IOU: Final = 0.8
"A doubtful mask remembered makes the next one worse. On held-out clips of 2.4 s, J 0.68 against 0.64."
AGREED_IOU: Final = 0.6
"""A track that an answer corrects by more than this begins again from the answer's mask alone. Memories of
its own mistakes, kept beside the good one, led it astray again within frames (one clip of 20 s at 10 fps, J
of the red circle 0.67 against 0.55)."""
MIN_AREA_CELLS: Final = 4
"Smallest mask, in cells of the logits, that counts as seen."
_QUERIES_KEPT: Final = 256
"Queries whose last revision is known; far more than a stream has."


@dataclass(slots=True, eq=False)
class _Followed:
    """One track; its place in the tracker's list is its row in the bank."""

    track_id: TrackId
    query_id: QueryId
    revision: int
    phrase: str
    keyframe_index: int
    life: Life = field(default_factory=Life)
    misses: int = 0


@dataclass(slots=True, eq=False)
class _Look:
    """One frame as it was tracked; kept when it is pinned."""

    frame_index: int
    step: int
    picture: Pixels
    "(S, S, 3)"
    levels: tuple[Array, ...] | None = None
    "features, mid, fine; None where nobody needed them."
    masks: dict[TrackId, BoolMask | None] = field(default_factory=dict)
    "Masks of the tracks alive then, at the size of the logits; None where not visible."


@dataclass(slots=True)
class TrackerCounts:
    """What a tracker had to leave out, since it was made."""

    refused_objects: int = 0
    "No row was free."
    ignored_answers: int = 0
    "The pin was gone, the words had changed since, or the query was released."
    unsound_rows: int = 0
    "Object-frames whose numbers were not finite."


class SamTracker:
    """See `engines.protocols.Tracker`.

    compiled: shared by every tracker of the process. capacity: objects at a time, further ones are
    refused and counted. pins: keyframes kept until their answers come, the oldest makes room.
    keep_iou: a frame is remembered for an object where the decoder believes its mask this good, 0..1, an
    object out of sight counting as 0; 0 remembers every frame, as SAM-2 does.
    """

    def __init__(
        self,
        compiled: CompiledTracker,
        *,
        capacity: int = 16,
        pins: int = 8,
        keep_iou: float = KEEP_IOU,
    ) -> None:
        self.shape = compiled.shape
        self._compiled = compiled
        self.counts = TrackerCounts()
        self._bank = MemoryBank(compiled.shape, capacity)
        self._pin_capacity = pins
        self._keep_iou = keep_iou
        self._next_id = 1
        self.reset()

    def reset(self) -> None:
        """See `engines.protocols.Tracker.reset`. The graphs' runners are new too."""
        self._encode = self._compiled.encode.runner()
        self._prompt = self._compiled.prompt.runner()
        self._track = self._compiled.track.runner()
        self._remember = self._compiled.remember.runner()
        while self._bank.rows:
            self._bank.remove(self._bank.rows - 1)
        self._followed: list[_Followed] = []
        self._ended: list[_Followed] = []
        self._pins: OrderedDict[int, _Look] = OrderedDict()
        self._revisions: OrderedDict[QueryId, int] = OrderedDict()
        self._released: OrderedDict[QueryId, int] = OrderedDict()
        self._look: _Look | None = None
        self._steps = 0

    @property
    def nbytes(self) -> int:
        """Bytes of memories and pins held now."""
        kept = [array for pin in self._pins.values() for array in (pin.picture, *(pin.levels or ()))]
        return self._bank.nbytes + sum(array.nbytes for array in kept)

    def step(self, frame: Frame, answers: Sequence[Answer] = ()) -> list[Track]:
        """See `engines.protocols.Tracker.step`."""
        for answer in answers:
            self._take(answer)
        self._steps += 1
        self._look = _Look(frame.index, self._steps, to_square(frame.pixels, self.shape.side_px))
        tracks = [_report(gone, 0.0, None) for gone in self._ended]
        self._ended = []
        if self._followed:
            tracks += self._follow(self._look, frame.size)
        return tracks

    def pin(self, frame_index: int) -> None:
        """See `engines.protocols.Tracker.pin`; a frame other than the one just stepped is not known here."""
        look = self._look
        if look is None or look.frame_index != frame_index or self._pins.get(frame_index) is look:
            return
        if look.levels is not None:  # still the encoder's own buffers
            look.levels = tuple(level.copy() for level in look.levels)
        self._pins.pop(frame_index, None)  # of a source that has started anew since, and counts from 0 again
        while len(self._pins) >= self._pin_capacity:
            self._pins.popitem(last=False)
        self._pins[frame_index] = look

    def release(self, query_id: QueryId) -> None:
        """See `engines.protocols.Tracker.release`. Answers about keyframes seen until now no longer count."""
        self._drop([row for row in range(len(self._followed)) if self._followed[row].query_id == query_id])
        self._revisions.pop(query_id, None)
        self._released[query_id] = self._steps
        _bound(self._released)

    # --- answers ----------------------------------------------------------------------------------

    def _take(self, answer: Answer) -> None:
        pin = self._pins.get(answer.keyframe_index)
        known = self._revisions.get(answer.query_id, 0)
        stale = pin is not None and pin.step <= self._released.get(answer.query_id, -1)
        if pin is None or stale or answer.revision < known:
            self.counts.ignored_answers += 1
            return
        self._revisions[answer.query_id] = answer.revision
        self._revisions.move_to_end(answer.query_id)
        _bound(self._revisions)
        edited = answer.revision > known
        rows = [row for row, one in enumerate(self._followed) if one.query_id == answer.query_id]
        places = [k for k, logits in enumerate(answer.logits[: len(answer.prompts)]) if (logits > 0).any()]
        masks = [to_size(answer.logits[k], self.shape.low_px) for k in places]
        places = [k for k, mask in zip(places, masks, strict=True) if mask.any()]
        masks = [mask for mask in masks if mask.any()]
        found = associate(
            masks, [pin.masks.get(self._followed[row].track_id) for row in rows], reacquire=not edited
        )
        memories = self._memories(pin, [answer.logits[k] for k in places])
        for mask, track in found.pairs:
            if memories[mask] is not None and not self._agrees(pin, rows[track], masks[mask]):
                self._bank.forget(rows[track])
            self._refresh(rows[track], answer, places[mask], memories[mask])
        for mask in found.new:
            self._begin(answer, places[mask], memories[mask])
        # Adding rows moved none; dropping does, so it comes last.
        self._drop(self._unwanted(answer, rows, found.missed, found.doubles))

    def _agrees(self, pin: _Look, row: int, mask: BoolMask) -> bool:
        """Whether a track saw on the keyframe what the answer saw there."""
        own = pin.masks.get(self._followed[row].track_id)
        return own is not None and mask_iou(mask, own) >= AGREED_IOU

    def _unwanted(
        self, answer: Answer, rows: list[int], missed: Sequence[int], doubles: Sequence[int]
    ) -> list[int]:
        """Rows of a query that its answer leaves no place for."""
        drop = {rows[track] for track in doubles}
        drop.update(row for row in rows if self._followed[row].revision < answer.revision)
        if answer.prompts:  # a refusal says nothing about a track that sees its object
            for track in missed:
                one = self._followed[rows[track]]
                one.misses += 1
                if one.misses >= MISSES_TO_END:
                    drop.add(rows[track])
        return sorted(drop)

    def _memories(self, pin: _Look, logits: list[Logits]) -> list[tuple[Memory, int] | None]:
        """Conditioning memories of an answer's masks on its keyframe, with their age; None where unsound."""
        if not logits:
            return []
        if pin.levels is None:
            pin.levels = tuple(level.copy() for level in self._encode(pin.picture[None]))
        masks = np.stack([to_prompt(one, self.shape.side_px) for one in logits])
        pointer, memory = self._prompt(*pin.levels, masks)
        sound = _finite_rows(pointer, memory)
        age = self._steps - pin.step
        return [(Memory(memory[k], pointer[k]), age) if sound[k] else None for k in range(len(logits))]

    def _refresh(self, row: int, answer: Answer, place: int, given: tuple[Memory, int] | None) -> None:
        one = self._followed[row]
        one.revision, one.keyframe_index, one.misses = answer.revision, answer.keyframe_index, 0
        one.phrase = answer.prompts[place].phrase
        one.life = lifecycle.confirm(one.life)
        if given is not None:
            self._bank.give(row, *given)

    def _begin(self, answer: Answer, place: int, given: tuple[Memory, int] | None) -> None:
        if given is None:
            self.counts.unsound_rows += 1
            return
        if self._bank.full:
            self.counts.refused_objects += 1
            return
        row = self._bank.add()
        self._bank.give(row, *given)
        phrase = answer.prompts[place].phrase
        track_id = TrackId(self._next_id)
        self._next_id += 1
        self._followed.append(
            _Followed(track_id, answer.query_id, answer.revision, phrase, answer.keyframe_index)
        )
        assert row == len(self._followed) - 1

    def _drop(self, rows: list[int]) -> None:
        """End tracks; the next step reports them."""
        for row in sorted(rows, reverse=True):
            self._followed[row].life = lifecycle.end(self._followed[row].life)
            self._ended.append(self._free(row))

    def _free(self, row: int) -> _Followed:
        gone = self._followed[row]
        moved = self._bank.remove(row)
        last = self._followed.pop()
        if moved is not None:
            self._followed[row] = last
        return gone

    # --- frames -----------------------------------------------------------------------------------

    def _follow(self, look: _Look, size: tuple[int, int]) -> list[Track]:
        look.levels = self._encode(look.picture[None])
        logits, ious, scores, pointer = self._track(*look.levels, *self._bank.batch())
        (memory,) = self._remember(look.levels[0], logits, scores, np.zeros(len(scores), np.bool_))
        sound = _finite_rows(logits, scores, pointer, memory)
        believed = np.where(scores > 0, ious, 0.0)
        self._bank.remember(memory, pointer, sound & (believed >= self._keep_iou))
        tracks = []
        for row, one in enumerate(self._followed):
            drawn = self._judge(one, logits[row], float(scores[row]), bool(sound[row]), size)
            look.masks[one.track_id] = logits[row] > 0 if drawn is not None else None
            tracks.append(_report(one, _sigmoid(float(scores[row])) if sound[row] else 0.0, drawn))
        for row in reversed([row for row, one in enumerate(self._followed) if one.life.over]):
            self._free(row)
        return tracks

    def _judge(
        self, one: _Followed, logits: Logits, score: float, sound: bool, size: tuple[int, int]
    ) -> DrawnMask | None:
        """Move a track's life on by this frame; its mask where it is seen."""
        if not sound:
            self.counts.unsound_rows += 1
            one.life = lifecycle.lose(one.life)
            return None
        seen = score > 0 and bool(np.count_nonzero(logits > 0) >= MIN_AREA_CELLS)
        one.life = lifecycle.advance(one.life, seen=seen)
        return draw_mask(logits, size) if seen else None


def _report(one: _Followed, score: float, drawn: DrawnMask | None) -> Track:
    silent = one.life.state in (TrackState.LOST, TrackState.ENDED)
    shown = None if silent else drawn
    return Track(
        track_id=one.track_id,
        query_id=one.query_id,
        revision=one.revision,
        phrase=one.phrase,
        state=one.life.state,
        score=score,
        box_px=shown.box_px if shown else None,
        mask=shown.rle if shown else None,
        keyframe_index=one.keyframe_index,
    )


def _finite_rows(*arrays: Array) -> NDArray[np.bool_]:
    """Which rows of a batch hold only numbers in every array."""
    # A sum is finite only if every term is; far cheaper than looking at each.
    with np.errstate(invalid="ignore", over="ignore"):
        sums = [array.reshape(array.shape[0], -1).sum(axis=1) for array in arrays]
    sound: NDArray[np.bool_] = np.isfinite(np.stack(sums)).all(axis=0)
    return sound


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-max(-60.0, min(60.0, x))))


def _bound(known: OrderedDict[QueryId, int]) -> None:
    while len(known) > _QUERIES_KEPT:
        known.popitem(last=False)
