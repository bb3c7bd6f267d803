"""The names under which results are found."""

from typing import get_args

from streaming.redis_keys import CHANNELS, Channel, Note, key_of
from streaming.vocabulary import StreamId

GATE = StreamId("gate")


def test_keys_are_those_of_the_documentation() -> None:
    names = [key_of(GATE, channel) for channel in Channel]
    assert names == [
        f"saccade:{{gate}}:{kind}" for kind in ("frames", "events", "answers", "words", "errors")
    ]


def test_every_kind_of_note_has_a_channel_of_its_own() -> None:
    assert set(CHANNELS) == set(get_args(Note))
    assert sorted(CHANNELS.values()) == sorted(set(Channel) - {Channel.FRAMES})
