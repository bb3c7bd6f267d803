"""The tracker of one stream: SAM-2 with its memory, every object in one batch.

A step: remember the frame before, write late answers into the memory, look at the picture once, decode
every object with its memories, say where everything is. Without objects nothing is computed, not even the
picture's features: a pin keeps the picture and they follow when an answer needs them.

A frame is remembered after its tracks have been said: whoever waits for them waits no longer than he must.
The next step begins with it, where `settle` has not done it in between.

A late answer is a memory write, not a rewind. Its mask is written as a conditioning memory on the
features of the keyframe it speaks of, and the next frame attends to it.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engines.geometry import mask_iou, to_size, to_square
from engines.masks import DrawnMask, draw_mask, draw_masks_apart
from engines.tracking import lifecycle
from engines.tracking.association import Association, BoolMask, associate
from engines.tracking.compiled import CompiledTracker
from engines.tracking.memory_bank import Memory, MemoryBank
from engines.tracking.memory_policy import PRODUCT, TrackerPolicy
from engines.tracking.network import Decoded, Levels, SamNetwork, finite_rows, fits
from engines.tracking.non_overlapping import Rivals, share_out
from engines.tracking.state import Followed, Look, TrackerState, from_bytes, to_bytes
from streaming.errors import InvalidMessage
from streaming.vocabulary import Answer, Click, Frame, Logits, QueryId, Track, TrackId, TrackState

MISSES_TO_END: Final = 2
"Answers in a row that saw a query's object elsewhere: one may be wrong, two are not."
MIN_AREA_CELLS: Final = 4
"Smallest mask, in cells of the logits, that counts as seen."
_QUERIES_KEPT: Final = 256
"Queries whose last revision is known; far more than a stream has."


@dataclass(frozen=True, slots=True, eq=False)
class _Shown:
    """One object that a prompt shows on its keyframe."""

    phrase: str
    logits: Logits
    mask: BoolMask
    "At the size of the decoder's logits."


@dataclass(frozen=True, slots=True, eq=False)
class _Given:
    """What is to be remembered of it."""

    shown: _Shown
    memory: Memory | None
    "None where it holds what is no number."


@dataclass(frozen=True, slots=True, eq=False)
class _Unwritten:
    """A tracked frame that is still to be remembered. Its arrays are the runners' own until these run."""

    levels: Levels
    decoded: Decoded
    rows: NDArray[np.bool_]
    "For which it is."


@dataclass(slots=True)
class TrackerCounts:
    """What a tracker had to leave out, since it was made."""

    refused_objects: int = 0
    "No row was free."
    ignored_answers: int = 0
    "The pin was gone, the words had changed since, or the query was released."
    refused_prompts: int = 0
    "Masks that hold nothing or are no pictures; clicks without a point or with too many."
    unsound_rows: int = 0
    "Object-frames whose numbers were not finite."


class SamTracker:
    """See `engines.protocols.Tracker`.

    compiled: shared by every tracker of the process. capacity: objects at a time, further ones are
    refused and counted. pins: keyframes kept until their answers come, the oldest makes room.
    policy: what is remembered; see `policy.py`.
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
        """See `engines.protocols.Tracker.reset`. The graphs' runners are new too."""
        self._network = SamNetwork(self._compiled, self._policy)
        self._unwritten: _Unwritten | None = None
        while self._bank.rows:
            self._bank.remove(self._bank.rows - 1)
        self._followed: list[Followed] = []
        self._rivals = Rivals()
        self._ended: list[Followed] = []
        self._pins: OrderedDict[int, Look] = OrderedDict()
        self._revisions: OrderedDict[QueryId, int] = OrderedDict()
        self._released: OrderedDict[QueryId, int] = OrderedDict()
        self._look: Look | None = None
        self._steps = 0

    @property
    def nbytes(self) -> int:
        """Bytes of memories and pins held now."""
        kept = [array for pin in self._pins.values() for array in (pin.picture, *(pin.levels or ()))]
        return self._bank.nbytes + sum(int(array.nbytes) for array in kept)

    def step(self, frame: Frame, answers: Sequence[Answer | Click] = ()) -> list[Track]:
        """See `engines.protocols.Tracker.step`."""
        self.settle()
        for answer in answers:
            self._take(answer)
        self._steps += 1
        self._look = Look(frame.index, self._steps, to_square(frame.pixels, self.shape.side_px))
        tracks = [_report(gone, 0.0, None) for gone in self._ended]
        self._ended = []
        if self._followed:
            tracks += self._follow(self._look, frame.size)
        return tracks

    def settle(self) -> None:
        """See `engines.protocols.Tracker.settle`."""
        frame, self._unwritten = self._unwritten, None
        if frame is not None:
            memory = self._network.remember(frame.levels, frame.decoded)
            self._bank.remember(memory, frame.decoded.pointer, frame.rows & finite_rows(memory))

    def pin(self, frame_index: int) -> None:
        """See `engines.protocols.Tracker.pin`; a frame other than the one just stepped is not known here."""
        look = self._look
        if look is None or look.frame_index != frame_index or self._pins.get(frame_index) is look:
            return
        if look.levels is not None:  # still the encoder's own buffers
            look.levels = _copied(look.levels)
        self._pins.pop(frame_index, None)  # of a source that has started anew since, and counts from 0 again
        while len(self._pins) >= self._pin_capacity:
            self._pins.popitem(last=False)
        self._pins[frame_index] = look

    def export(self) -> bytes:
        """All that the next frames depend on; a frame must be pinned before, to be pinned then."""
        self.settle()
        return to_bytes(
            TrackerState(
                fingerprint=self._compiled.fingerprint,
                steps=self._steps,
                next_id=self._next_id,
                followed=self._followed,
                ended=self._ended,
                pins=list(self._pins.values()),
                revisions=self._revisions,
                released=self._released,
                rivals=self._rivals.export(),
                bank=self._bank.export(),
            )
        )

    def restore(self, exported: bytes) -> None:
        """Go on where another tracker of the same weights was, in place of all that this one knows.

        Its counts stay its own, and ids that it has given are not given again. Raises InvalidMessage where
        the bytes are not such a tracker's, LimitReached where its objects do not fit; nothing changes then.
        """
        state = from_bytes(exported)
        if state.fingerprint != self._compiled.fingerprint:
            raise InvalidMessage("These memories were made by other weights.")
        picture = (self.shape.side_px, self.shape.side_px, 3)
        if any(pin.picture.shape != picture or pin.picture.dtype != np.uint8 for pin in state.pins):
            raise InvalidMessage(f"A pinned picture is not uint8 {picture}.")
        if any(len(array) != len(state.followed) for array in state.bank.values()):
            raise InvalidMessage(f"{len(state.followed)} tracks have another number of memories.")
        self._bank.restore(state.bank)
        self._unwritten = None
        self._followed, self._ended = list(state.followed), list(state.ended)
        self._pins = OrderedDict((pin.frame_index, pin) for pin in state.pins[-self._pin_capacity :])
        self._revisions, self._released = OrderedDict(state.revisions), OrderedDict(state.released)
        self._rivals = Rivals(state.rivals)
        self._look = None
        self._steps = state.steps
        self._next_id = max(self._next_id, state.next_id)

    def release(self, query_id: QueryId) -> None:
        """See `engines.protocols.Tracker.release`. Answers about keyframes seen until now no longer count."""
        self._drop([row for row in range(len(self._followed)) if self._followed[row].query_id == query_id])
        self._revisions.pop(query_id, None)
        self._released[query_id] = self._steps
        _bound(self._released)

    # --- answers ----------------------------------------------------------------------------------

    def _take(self, answer: Answer | Click) -> None:
        pin = self._pins.get(answer.keyframe_index)
        known = self._revisions.get(answer.query_id, 0)
        stale = pin is not None and pin.step <= self._released.get(answer.query_id, -1)
        if pin is None or stale or answer.revision < known:
            self.counts.ignored_answers += 1
            return
        self._revisions[answer.query_id] = answer.revision
        self._revisions.move_to_end(answer.query_id)
        _bound(self._revisions)
        if isinstance(answer, Click):
            self._take_click(pin, answer)
        else:
            self._take_masks(pin, answer, edited=answer.revision > known)

    def _take_masks(self, pin: Look, answer: Answer, *, edited: bool) -> None:
        shown = self._shown(answer)
        rows = self._rows_of(answer.query_id)
        masks = [one.mask for one in shown]
        found = associate(
            masks, [pin.masks.get(self._followed[row].track_id) for row in rows], reacquire=not edited
        )
        # An answer that shows nothing says nothing about a track that sees its object.
        unwanted = self._unwanted(answer, rows, found if shown else replace(found, missed=()))
        free = self._bank.capacity - self._bank.rows + len(unwanted)
        self.counts.refused_objects += max(0, len(found.new) - free)
        new = found.new[:free]
        wanted = [mask for mask, _ in found.pairs] + list(new)
        memories = (
            self._network.given(self._levels_of(pin), [shown[k].logits for k in wanted]) if wanted else []
        )
        given = {k: _Given(shown[k], memory) for k, memory in zip(wanted, memories, strict=True)}
        for mask, track in found.pairs:
            self._refresh(pin, rows[track], answer, given[mask])
        self._drop(unwanted)  # rows move now; what begins takes those that are free
        for mask in new:
            self._begin(pin, answer, given[mask])

    def _shown(self, answer: Answer) -> list[_Shown]:
        """The masks of an answer that show something."""
        if (
            answer.logits.ndim != 3
            or len(answer.logits) < len(answer.prompts)
            or 0 in answer.logits.shape[1:]
        ):
            self.counts.refused_prompts += max(1, len(answer.prompts))
            return []
        shown = []
        for prompt, logits in zip(answer.prompts, answer.logits, strict=False):
            mask = to_size(logits, self.shape.low_px)
            if mask.any():
                shown.append(_Shown(prompt.phrase, logits, mask))
        self.counts.refused_prompts += len(answer.prompts) - len(shown)
        return shown

    def _take_click(self, pin: Look, click: Click) -> None:
        if not fits(click):
            self.counts.refused_prompts += 1
            return
        decoded, memory = self._network.clicked(self._levels_of(pin), click)
        # Where nothing is, a track begins that is not seen, and ends as such: people are taken at their word.
        mask = (decoded.logits[0] > 0) & (decoded.score[0] > 0)
        given = _Given(_Shown(click.phrase, decoded.logits[0], mask), memory)
        rows = self._rows_of(click.query_id)
        tracks = [pin.masks.get(self._followed[row].track_id) for row in rows]
        found = associate([mask], tracks, reacquire=True)
        if found.pairs:
            self._refresh(pin, rows[found.pairs[0][1]], click, given)
        elif self._bank.full:
            self.counts.refused_objects += 1
        else:
            self._begin(pin, click, given)

    def _rows_of(self, query_id: QueryId) -> list[int]:
        return [row for row, one in enumerate(self._followed) if one.query_id == query_id]

    def _levels_of(self, pin: Look) -> Levels:
        if pin.levels is None:
            pin.levels = _copied(self._network.encode(pin.picture))
        return pin.levels

    def _agrees(self, pin: Look, row: int, mask: BoolMask) -> bool:
        """Whether a track saw on the keyframe what the answer saw there."""
        own = pin.masks.get(self._followed[row].track_id)
        return self._policy.agreed_iou == 0 or (
            own is not None and mask_iou(mask, own) >= self._policy.agreed_iou
        )

    def _unwanted(self, answer: Answer, rows: list[int], found: Association) -> list[int]:
        """Rows of a query that its answer leaves no place for; counts misses."""
        kept = {rows[track] for _, track in found.pairs}
        drop = {row for row in set(rows) - kept if self._followed[row].revision < answer.revision}
        drop.update(rows[track] for track in found.doubles)
        for track in found.missed:
            one = self._followed[rows[track]]
            one.misses += 1
            if one.misses >= MISSES_TO_END:
                drop.add(rows[track])
        return sorted(drop)

    def _refresh(self, pin: Look, row: int, answer: Answer | Click, given: _Given) -> None:
        one = self._followed[row]
        one.revision, one.keyframe_index, one.misses = answer.revision, answer.keyframe_index, 0
        one.phrase = given.shown.phrase
        one.life = lifecycle.confirm(one.life)
        if given.memory is not None:
            if not self._agrees(pin, row, given.shown.mask):
                self._bank.forget(row)
            self._bank.give(row, given.memory, self._steps - pin.step)
        self._tell_apart(pin, one, given.shown.mask)

    def _begin(self, pin: Look, answer: Answer | Click, given: _Given) -> None:
        if given.memory is None:
            self.counts.unsound_rows += 1
            return
        row = self._bank.add()
        self._bank.give(row, given.memory, self._steps - pin.step)
        track_id = TrackId(self._next_id)
        self._next_id += 1
        self._followed.append(
            Followed(track_id, answer.query_id, answer.revision, given.shown.phrase, answer.keyframe_index)
        )
        assert row == len(self._followed) - 1
        self._tell_apart(pin, self._followed[row], given.shown.mask)

    def _tell_apart(self, pin: Look, one: Followed, mask: BoolMask) -> None:
        """Learn who follows other things from a mask that was given on a keyframe."""
        pin.masks[one.track_id] = mask
        here = [other.track_id for other in self._followed]
        self._rivals.learn(one.track_id, mask, {other: pin.masks.get(other) for other in here})

    def _drop(self, rows: list[int]) -> None:
        """End tracks; the next step reports them."""
        for row in sorted(rows, reverse=True):
            self._followed[row].life = lifecycle.end(self._followed[row].life)
            self._ended.append(self._free(row))

    def _free(self, row: int) -> Followed:
        self.settle()  # rows move now
        gone = self._followed[row]
        self._rivals.forget(gone.track_id)
        moved = self._bank.remove(row)
        last = self._followed.pop()
        if moved is not None:
            self._followed[row] = last
        return gone

    # --- frames -----------------------------------------------------------------------------------

    def _follow(self, look: Look, size: tuple[int, int]) -> list[Track]:
        look.levels = self._network.encode(look.picture)
        decoded = self._network.track(look.levels, self._bank.batch())
        sound = finite_rows(*decoded)
        decoded, believed = self._without_rivals(decoded)
        kept = sound & (believed >= self._policy.keep_iou)
        if self._steps % self._policy.remember_every == 0 and kept.any():
            self._unwritten = _Unwritten(look.levels, decoded, kept)
        present = (decoded.score > 0) & (believed >= self._policy.seen_iou)
        seen = [
            self._judge(*each) for each in zip(self._followed, decoded.logits, present, sound, strict=True)
        ]
        tracks = []
        for row, drawn in enumerate(self._draw(decoded.logits, seen, size)):
            one = self._followed[row]
            look.masks[one.track_id] = decoded.logits[row] > 0 if drawn is not None else None
            score = _sigmoid(float(decoded.score[row])) if sound[row] else 0.0
            tracks.append(_report(one, score, drawn))
        for row in reversed([row for row, one in enumerate(self._followed) if one.life.over]):
            self._free(row)
        return tracks

    def _without_rivals(self, decoded: Decoded) -> tuple[Decoded, NDArray[np.float32]]:
        """Masks without what rivals claim, and how far each is believed, 0 where it is not seen."""
        believed = np.where(decoded.score > 0, decoded.iou, 0.0)
        if self._policy.rival_share == 0 or len(self._followed) < 2:
            return decoded, believed
        rivals = self._rivals.among([one.track_id for one in self._followed])
        logits, kept = share_out(decoded.logits, rivals, believed >= self._policy.keep_iou)
        return decoded._replace(logits=logits), np.where(kept >= self._policy.rival_share, believed, 0.0)

    def _judge(self, one: Followed, logits: Logits, present: np.bool_, sound: np.bool_) -> bool:
        """Move a track's life on by this frame; whether it is seen."""
        if not sound:
            self.counts.unsound_rows += 1
            one.life = lifecycle.lose(one.life)
            return False
        seen = bool(present and np.count_nonzero(logits > 0) >= MIN_AREA_CELLS)
        life = lifecycle.advance(one.life, seen=seen)
        one.life = lifecycle.lose(one.life) if life.over and not self._policy.unseen_end else life
        return seen

    def _draw(self, logits: Logits, seen: list[bool], size: tuple[int, int]) -> list[DrawnMask | None]:
        """Masks at source size of the objects that are seen."""
        if self._policy.apart:
            shown = draw_masks_apart(logits[seen], size)
        else:
            shown = [draw_mask(one, size) for one in logits[seen]]
        drawn = iter(shown)
        return [next(drawn) if here else None for here in seen]


def _report(one: Followed, score: float, drawn: DrawnMask | None) -> Track:
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


def _copied(levels: Levels) -> Levels:
    """Out of the encoder's own buffers."""
    features, mid, fine = (level.copy() for level in levels)
    return features, mid, fine


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-max(-60.0, min(60.0, x))))


def _bound(known: OrderedDict[QueryId, int]) -> None:
    while len(known) > _QUERIES_KEPT:
        known.popitem(last=False)
