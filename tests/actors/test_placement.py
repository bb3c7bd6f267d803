"""Which worker hosts which stream."""

from actors.placement import place
from streaming.vocabulary import StreamId

A, B, C, D = (StreamId(name) for name in "abcd")


def test_new_streams_go_to_the_worker_with_the_fewest() -> None:
    assert place([A, B, C, D], {}, workers=2) == {A: 0, B: 1, C: 0, D: 1}


def test_a_placed_stream_stays_on_its_worker() -> None:
    assert place([A, B, C], {A: 1, B: 1}, workers=2) == {A: 1, B: 1, C: 0}


def test_a_removed_stream_does_not_count() -> None:
    assert place([C, D], {A: 0, B: 1, C: 1}, workers=2) == {C: 1, D: 0}
