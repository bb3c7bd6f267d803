"""Which worker hosts which stream."""

from actors.placement import place
from streaming.vocabulary import StreamId

A, B, C, D = (StreamId(name) for name in "abcd")


def test_new_streams_spread_over_the_workers() -> None:
    assert place([A, B, C, D], {}, workers=2) == {A: 0, B: 1, C: 0, D: 1}


def test_a_stream_stays_where_its_memory_is() -> None:
    assert place([A, B, C], {A: 1, B: 1}, workers=2) == {A: 1, B: 1, C: 0}


def test_a_stream_that_is_gone_frees_its_place() -> None:
    assert place([C, D], {A: 0, B: 1, C: 1}, workers=2) == {C: 1, D: 0}
