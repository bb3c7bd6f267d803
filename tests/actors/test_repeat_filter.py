"""Which messages are suppressed."""

from actors.repeat_filter import QUIET_S, RepeatFilter


def test_the_same_message_is_suppressed_for_quiet_s() -> None:
    repeat_filter = RepeatFilter()
    assert repeat_filter.is_new("dark", 5.0)
    assert not repeat_filter.is_new("dark", 5.0 + QUIET_S - 0.1)
    assert repeat_filter.is_new("dark", 5.0 + QUIET_S)


def test_another_message_is_not_suppressed() -> None:
    repeat_filter = RepeatFilter()
    assert repeat_filter.is_new(("a", "dark"), 0.0) and repeat_filter.is_new(("b", "dark"), 0.0)


def test_at_most_256_messages_are_remembered() -> None:
    repeat_filter = RepeatFilter()
    assert all(repeat_filter.is_new(number, 0.0) for number in range(1000))
    assert not repeat_filter.is_new(999, 0.1)
    assert repeat_filter.is_new(0, 0.2), "evicted"
