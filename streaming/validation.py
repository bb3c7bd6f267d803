"""What a user may write: ids and words. Pure; the gateway and the supervisor both ask here."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from streaming.errors import InvalidQuery, InvalidStream
from streaming.vocabulary import QueryKind, Region, StreamId

_STREAM_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")


def check_stream_id(text: str) -> StreamId:
    """A stream id: 1-64 characters of `[A-Za-z0-9._-]`, not only dots. Raises InvalidStream."""
    if _STREAM_ID.fullmatch(text) and text.strip("."):
        return StreamId(text)
    raise InvalidStream(
        f"{shown(text)} cannot be a stream id.",
        remedy="Use 1 to 64 letters, digits, dots, dashes, underscores.",
    )


def check_query_text(text: str, max_chars: int) -> str:
    """The words of a query, with surrounding space removed. Raises InvalidQuery."""
    words = text.strip()
    if not words:
        raise InvalidQuery("The query is empty.", remedy="Say what to follow, for instance: the red car.")
    if len(words) > max_chars:
        raise InvalidQuery(
            f"The query has {len(words)} characters; at most {max_chars} are taken.",
            remedy="Say it shorter, or raise max_query_chars.",
        )
    if any(_is_control(char) for char in words):
        raise InvalidQuery("The query holds control characters.", remedy="Send plain text on one line.")
    return words


def check_query_kind(text: str) -> QueryKind:
    """The kind of a query. Raises InvalidQuery."""
    try:
        return QueryKind(text)
    except ValueError as exc:
        kinds = ", ".join(QueryKind)
        raise InvalidQuery(f"{shown(text)} is no kind of query.", remedy=f"Use one of: {kinds}.") from exc


def check_region(region: Region | None, kind: QueryKind) -> Region | None:
    """What a person pointed at. Raises InvalidQuery."""
    if region is None:
        return None
    if kind is not QueryKind.ASK:
        raise InvalidQuery("Only a question can be about a region.", remedy="Use the kind ask.")
    x0, y0, x1, y1 = region
    if not (0 <= x0 <= x1 <= 1 and 0 <= y0 <= y1 <= 1):
        raise InvalidQuery(
            "The region is not in the picture.",
            remedy="Give x0, y0, x1, y1 as shares of its width and height, 0 to 1, left before right.",
        )
    return region


def shown(text: str) -> str:
    """What a user wrote, safe to repeat in one line: quoted, escaped, at most 64 characters."""
    cut = text if len(text) <= 64 else text[:63] + "…"
    return repr(cut) if cut.isprintable() else ascii(cut)


def _is_control(char: str) -> bool:
    # Cc: C0 and C1 controls; Cs: lone surrogates, which are not text and cannot be stored as UTF-8;
    # Zl, Zp: line and paragraph separators. Cf stays: joiners are part of many scripts and of emoji.
    return unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"}
