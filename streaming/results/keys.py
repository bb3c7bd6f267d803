"""Names in Redis: which Redis Stream holds which messages, and the ids of its entries. Pure.

The braces in a key are Redis' hash tag: all of a stream's keys are on the same node of a cluster.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

from streaming.events import AnswerReport, ErrorReport, Event, PartialAnswerReport
from streaming.vocabulary import StreamId

STREAMS_KEY: Final = "saccade:streams"
QUERIES_KEY: Final = "saccade:queries"
PROBE_KEY: Final = "saccade:probe"
"A hash that is written to see whether Redis takes writes."

Note = Event | AnswerReport | PartialAnswerReport | ErrorReport
"A message published beside the frames."


class Channel(StrEnum):
    """Kind of messages in a Redis Stream."""

    FRAMES = "frames"
    EVENTS = "events"
    ANSWERS = "answers"
    WORDS = "words"
    "Partial answers, while the model generates."
    ERRORS = "errors"


CHANNELS: Final[dict[type[Note], Channel]] = {
    Event: Channel.EVENTS,
    AnswerReport: Channel.ANSWERS,
    PartialAnswerReport: Channel.WORDS,
    ErrorReport: Channel.ERRORS,
}


def key_of(stream_id: StreamId, channel: Channel) -> str:
    """Return the key of the Redis Stream that holds a stream's messages of one kind."""
    return f"saccade:{{{stream_id}}}:{channel}"


class EntryId(NamedTuple):
    """Id of an entry of a Redis Stream, ordered as Redis orders them."""

    ms: int
    seq: int

    def __str__(self) -> str:
        return f"{self.ms}-{self.seq}"

    @classmethod
    def parse(cls, text: str) -> EntryId:
        """Parse `<ms>-<seq>`."""
        ms, _, seq = text.partition("-")
        return cls(int(ms), int(seq))


BEFORE_ALL: Final = EntryId(0, 0)
"Less than the id of any entry."


def entry_id_after(last: EntryId, now_s: float) -> EntryId:
    """Return the id of an entry written now: the clock's, as Redis does, or the next after `last` if it
    lags."""
    now_ms = int(now_s * 1000)
    return EntryId(now_ms, 0) if now_ms > last.ms else EntryId(last.ms, last.seq + 1)


def last_id(info: object) -> EntryId:
    """Return the last generated id from a reply to XINFO STREAM.

    BEFORE_ALL where the key does not exist or holds another type. Raises any other error that the reply is.
    """
    if isinstance(info, dict):
        return EntryId.parse(info["last-generated-id"].decode())
    if isinstance(info, Exception) and "no such key" not in str(info) and "WRONGTYPE" not in str(info):
        raise info
    return BEFORE_ALL
