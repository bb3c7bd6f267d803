"""Notes, published beside the frames: track events, answers, partial answers, errors. Pure.

Events follow Frigate's contract: `new`, `update`, `end`, each with the track before and after, without masks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from streaming.errors import SaccadeError
from streaming.vocabulary import Answer, GroundSeconds, QueryId, StreamId, Track, TrackId, TrackState


class EventType(StrEnum):
    """Type of a track event."""

    NEW = "new"
    UPDATE = "update"
    END = "end"


@dataclass(frozen=True, slots=True)
class TrackSummary:
    """A track without its mask. Fields as in `Track`."""

    track_id: TrackId
    query_id: QueryId
    revision: int
    phrase: str
    state: TrackState
    score: float
    box_px: tuple[float, float, float, float] | None
    keyframe_index: int


@dataclass(frozen=True, slots=True)
class Event:
    """A track began, changed or ended; schema `saccade.event/1` in JSON."""

    type: EventType
    stream_id: StreamId
    track_id: TrackId
    before: TrackSummary | None
    "None for `new`."
    after: TrackSummary | None
    "None for an `end` without a last state: the track is missing in the next result."
    at_s: float
    "When the result was assembled, Unix time."
    epoch: int = 0
    "Of the result, see `FrameResult.epoch`."


@dataclass(frozen=True, slots=True)
class AnswerReport:
    """The grounder's answer to a query; schema `saccade.answer/1` in JSON."""

    stream_id: StreamId
    query_id: QueryId
    revision: int
    keyframe_index: int
    text: str
    presence: float | None
    "0..1: the highest P([SEG]) of the answer; None where it has no prompt: no such object, or text only."
    at_s: float
    prompt_to_mask_s: float | None = None
    "With the first mask of a revision: seconds from its acceptance to the result being assembled."
    ground_s: float = 0.0
    "Duration of grounding, seconds; in a batch of several keyframes, this keyframe's share."
    steps_s: GroundSeconds = field(default_factory=GroundSeconds)
    model: str = ""
    "Model that answered: `nano`, `owner/name@commit`, or the name of a checkpoint's folder."


@dataclass(frozen=True, slots=True)
class PartialAnswerReport:
    """A text answer during generation; schema `saccade.words/1` in JSON.

    The complete answer follows as an `AnswerReport` of the same query and revision.
    """

    stream_id: StreamId
    query_id: QueryId
    revision: int
    keyframe_index: int
    text: str
    "The answer so far, from its beginning."
    at_s: float


@dataclass(frozen=True, slots=True)
class ErrorReport:
    """An error of a stream; schema `saccade.error/1` in JSON. Contains no credentials."""

    stream_id: StreamId
    code: str
    "`SaccadeError.code`."
    message: str
    remedy: str
    at_s: float


def summary(track: Track) -> TrackSummary:
    """Return the track without its mask."""
    return TrackSummary(
        track.track_id,
        track.query_id,
        track.revision,
        track.phrase,
        track.state,
        track.score,
        track.box_px,
        track.keyframe_index,
    )


def answer_report(answer: Answer, at_s: float, prompt_to_mask_s: float | None = None) -> AnswerReport:
    """Return an answer as published: without embeddings and logits."""
    presence = max((prompt.presence for prompt in answer.prompts), default=None)
    return AnswerReport(
        answer.stream_id,
        answer.query_id,
        answer.revision,
        answer.keyframe_index,
        answer.text,
        None if presence is None else float(presence),
        at_s,
        prompt_to_mask_s,
        answer.ground_s,
        answer.steps_s,
        answer.model,
    )


def error_report(stream_id: StreamId, error: SaccadeError, at_s: float) -> ErrorReport:
    """Return an error as published."""
    return ErrorReport(stream_id, error.code, error.message, error.remedy, at_s)


def events_between(
    previous: Sequence[Track], current: Sequence[Track], stream_id: StreamId, at_s: float, epoch: int = 0
) -> tuple[Event, ...]:
    """Return the events between the tracks of two consecutive results.

    An update is a change of state, query, revision or phrase; scores and boxes change on every frame and are
    in the frames. A track ends with state `ended`, or when it is missing. A track whose first state is
    `ended` makes no event.
    """
    before = {track.track_id: track for track in previous if track.state is not TrackState.ENDED}
    events = [_event(before.get(track.track_id), track, stream_id, at_s) for track in current]
    current_ids = {track.track_id for track in current}
    gone = [track for track_id, track in before.items() if track_id not in current_ids]
    events += [Event(EventType.END, stream_id, track.track_id, summary(track), None, at_s) for track in gone]
    return tuple(replace(event, epoch=epoch) for event in events if event is not None)


def _event(before: Track | None, after: Track, stream_id: StreamId, at_s: float) -> Event | None:
    ended = after.state is TrackState.ENDED
    if before is None:
        kind = None if ended else EventType.NEW
    elif ended:
        kind = EventType.END
    else:
        kind = EventType.UPDATE if _identity(before) != _identity(after) else None
    if kind is None:
        return None
    seen = None if before is None else summary(before)
    return Event(kind, stream_id, after.track_id, seen, summary(after), at_s)


def _identity(track: Track) -> tuple[object, ...]:
    return track.state, track.query_id, track.revision, track.phrase
