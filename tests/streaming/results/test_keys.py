"""Keys are as documented; entry ids increase."""

from typing import get_args

import pytest

from streaming.results.keys import (
    BEFORE_ALL,
    CHANNELS,
    Channel,
    EntryId,
    Note,
    entry_id_after,
    key_of,
    last_id,
)
from streaming.vocabulary import StreamId

GATE = StreamId("gate")


def test_keys_are_as_documented() -> None:
    names = [key_of(GATE, channel) for channel in Channel]
    assert names == [
        f"saccade:{{gate}}:{kind}" for kind in ("frames", "events", "answers", "words", "errors")
    ]


def test_every_kind_of_note_has_its_own_channel() -> None:
    assert set(CHANNELS) == set(get_args(Note))
    assert sorted(CHANNELS.values()) == sorted(set(Channel) - {Channel.FRAMES})


def test_entry_ids_increase_with_the_clock() -> None:
    first = entry_id_after(BEFORE_ALL, now_s=100.0)
    assert first == EntryId(100_000, 0)
    assert entry_id_after(first, now_s=100.001) == EntryId(100_001, 0)


def test_entry_ids_increase_within_a_millisecond_and_when_the_clock_is_set_back() -> None:
    last = EntryId(100_000, 7)
    assert entry_id_after(last, now_s=100.0) == EntryId(100_000, 8)
    assert entry_id_after(last, now_s=1.0) == EntryId(100_000, 8)


def test_an_entry_id_has_the_format_of_redis() -> None:
    assert str(EntryId(5, 2)) == "5-2"
    assert EntryId.parse("5-2") == EntryId(5, 2)
    assert EntryId(9, 10) > EntryId(9, 9) > EntryId(8, 100)


def test_last_id_of_a_key_without_a_redis_stream_is_before_all() -> None:
    for reply in (Exception("no such key"), Exception("WRONGTYPE Operation against a key"), None):
        assert last_id(reply) == BEFORE_ALL
    assert last_id({"last-generated-id": b"5-2"}) == EntryId(5, 2)
    with pytest.raises(Exception, match="LOADING"):
        last_id(Exception("LOADING the dataset in memory"))
