"""Validation of user input: stream ids, query texts, regions; the largest picture. Pure.

Called once for each input, by the supervisor, which every client reaches: the REST API, the command line, the
demo.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from streaming.errors import InvalidQuery, InvalidStream
from streaming.vocabulary import QueryKind, Region, StreamId

DEFAULT_MAX_PIXELS: Final = 4096 * 2304
"""Of a picture of any source. Its RGB has 28 MB, its decoder several times that; an untrusted stream of
16000 x 16000 took 4.7 GB."""

_STREAM_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")


def check_stream_id(text: str) -> StreamId:
    """Return a stream id: 1-64 characters of `[A-Za-z0-9._-]`, not only dots. Raises InvalidStream."""
    if _STREAM_ID.fullmatch(text) and text.strip("."):
        return StreamId(text)
    raise InvalidStream(
        f"{quoted(text)} cannot be a stream id.",
        remedy="Use 1 to 64 letters, digits, dots, dashes, underscores.",
    )


def check_query_text(text: str, max_chars: int) -> str:
    """Return the text of a query without surrounding white space. Raises InvalidQuery."""
    stripped = text.strip()
    if not stripped:
        raise InvalidQuery("The query is empty.", remedy="Say what to follow, for instance: the red car.")
    if len(stripped) > max_chars:
        raise InvalidQuery(
            f"The query has {len(stripped)} characters; at most {max_chars} are taken.",
            remedy="Say it shorter, or raise max_query_chars.",
        )
    if any(_is_control(char) for char in stripped):
        raise InvalidQuery("The query holds control characters.", remedy="Send plain text on one line.")
    return stripped


def check_region(region: Region | None, kind: QueryKind) -> Region | None:
    """Return the region of a query of that kind. Raises InvalidQuery."""
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


def quoted(text: str) -> str:
    """Return user input that is safe in a message: on one line, quoted, escaped, at most 64 characters."""
    cut = text if len(text) <= 64 else text[:63] + "…"
    return repr(cut) if cut.isprintable() else ascii(cut)


def _is_control(char: str) -> bool:
    # Cc: C0 and C1 controls; Cs: lone surrogates, which are not text and cannot be stored as UTF-8;
    # Zl, Zp: line and paragraph separators. Cf stays: joiners are part of many scripts and of emoji.
    return unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"}
