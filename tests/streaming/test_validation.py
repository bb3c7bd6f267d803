"""Validation of user input."""

from __future__ import annotations

import math

import pytest

from streaming.errors import InvalidQuery, InvalidStream
from streaming.validation import check_query_text, check_region, check_stream_id, quoted
from streaming.vocabulary import QueryKind, Region


@pytest.mark.parametrize("text", ["a", "gate-1", "cam_2.front", "x" * 64, "0"])
def test_a_stream_id_of_plain_characters_is_taken(text: str) -> None:
    assert check_stream_id(text) == text


@pytest.mark.parametrize("text", ["", "a b", "ä", "a/b", "x" * 65, "a\n", "..", ".", "{a}", "a:b"])
def test_any_other_stream_id_is_refused(text: str) -> None:
    with pytest.raises(InvalidStream):
        check_stream_id(text)


def test_a_query_is_stripped_and_kept_in_any_script() -> None:
    assert check_query_text("  das rote Auto  ", 500) == "das rote Auto"
    assert check_query_text("穿红衣服的人 👩‍🚒", 500) == "穿红衣服的人 👩‍🚒"


def test_the_longest_query_is_taken_and_the_next_refused() -> None:
    assert len(check_query_text("x" * 500, 500)) == 500
    with pytest.raises(InvalidQuery, match="501 characters; at most 500"):
        check_query_text("x" * 501, 500)


@pytest.mark.parametrize("text", ["", "   ", "\n", "a\x00b", "a\nb", "a\x1b[31mb", "a\u2028b", "a\ud800b"])
def test_an_empty_query_or_one_with_control_characters_is_refused(text: str) -> None:
    with pytest.raises(InvalidQuery):
        check_query_text(text, 500)


@pytest.mark.parametrize("region", [None, (0.0, 0.0, 1.0, 1.0), (0.5, 0.25, 0.5, 0.25)])
def test_a_region_or_a_point_within_the_frame_is_accepted(region: Region | None) -> None:
    assert check_region(region, QueryKind.ASK) == region


@pytest.mark.parametrize(
    "region",
    [(0.5, 0.0, 0.4, 1.0), (0.0, 0.5, 1.0, 0.4), (-0.1, 0, 1, 1), (0, 0, 1.1, 1), (math.nan, 0, 1, 1)],
)
def test_a_region_outside_the_frame_is_refused(region: Region) -> None:
    with pytest.raises(InvalidQuery, match="not in the picture"):
        check_region(region, QueryKind.ASK)


@pytest.mark.parametrize("kind", [QueryKind.REFER, QueryKind.DESCRIBE])
def test_only_an_ask_query_takes_a_region(kind: QueryKind) -> None:
    assert check_region(None, kind) is None
    with pytest.raises(InvalidQuery, match="kind ask"):
        check_region((0.0, 0.0, 1.0, 1.0), kind)


def test_quoted_input_is_on_one_line_and_short() -> None:
    assert quoted("a b") == "'a b'"
    assert "\n" not in quoted("a\nb")
    assert "\x1b" not in quoted("\x1b[31m")
    assert len(quoted("x" * 10_000)) == 66
