"""Nothing is said again so soon."""

from actors.repeat_filter import QUIET_S, RepeatFilter


def test_the_same_is_no_news_for_a_while() -> None:
    repeats = RepeatFilter()
    assert repeats.is_news("dark", 5.0)
    assert not repeats.is_news("dark", 5.0 + QUIET_S - 0.1)
    assert repeats.is_news("dark", 5.0 + QUIET_S)


def test_something_else_is_news() -> None:
    repeats = RepeatFilter()
    assert repeats.is_news(("a", "dark"), 0.0) and repeats.is_news(("b", "dark"), 0.0)


def test_it_remembers_no_more_than_it_must() -> None:
    repeats = RepeatFilter()
    assert all(repeats.is_news(number, 0.0) for number in range(1000))
    assert not repeats.is_news(999, 0.1)
    assert repeats.is_news(0, 0.2), "long forgotten"
