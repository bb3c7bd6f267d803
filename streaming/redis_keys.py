"""Which Redis Stream holds what: one for the frames of a stream, one for each kind of note beside them."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from streaming.events import AnswerReport, ErrorReport, Event, WordsReport
from streaming.vocabulary import StreamId

Note = Event | AnswerReport | WordsReport | ErrorReport
"What is said beside the frames."


class Channel(StrEnum):
    """What a Redis Stream of ours holds."""

    FRAMES = "frames"
    EVENTS = "events"
    ANSWERS = "answers"
    WORDS = "words"
    "Answers that are still being said."
    ERRORS = "errors"


CHANNELS: Final[dict[type[Note], Channel]] = {
    Event: Channel.EVENTS,
    AnswerReport: Channel.ANSWERS,
    WordsReport: Channel.WORDS,
    ErrorReport: Channel.ERRORS,
}


def key_of(stream_id: StreamId, channel: Channel) -> str:
    """Name of the Redis Stream that holds a stream's messages of one kind."""
    return f"saccade:{{{stream_id}}}:{channel}"
