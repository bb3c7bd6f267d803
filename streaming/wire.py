"""Encodes and decodes messages as JSON: one object, its `schema` first, then the fields by name. Pure.

`saccade.frame/1` is documented in the README; the others have the fields of their class. Within a version
fields are only added: unknown names are skipped, a missing field or a wrong type raises InvalidMessage.
Enumerations are their values, tuples are lists, times are Unix seconds, None is null. NaN and infinity are
not JSON and raise ValueError.
"""

from __future__ import annotations

import json
from typing import Any, Final, NamedTuple, NoReturn, TypeVar

from pydantic import TypeAdapter, ValidationError

from streaming.errors import InvalidMessage
from streaming.events import AnswerReport, ErrorReport, Event, PartialAnswerReport
from streaming.vocabulary import FrameResult, Query, StreamSpec

Message = FrameResult | Event | AnswerReport | PartialAnswerReport | ErrorReport | StreamSpec | Query
M = TypeVar("M", FrameResult, Event, AnswerReport, PartialAnswerReport, ErrorReport, StreamSpec, Query)

SCHEMAS: Final[dict[type[Any], str]] = {
    FrameResult: "saccade.frame/1",
    Event: "saccade.event/1",
    AnswerReport: "saccade.answer/1",
    PartialAnswerReport: "saccade.words/1",
    ErrorReport: "saccade.error/1",
    StreamSpec: "saccade.stream/1",
    Query: "saccade.query/1",
}
_ADAPTERS: Final[dict[type[Any], TypeAdapter[Any]]] = {kind: TypeAdapter(kind) for kind in SCHEMAS}

# Quotes within a JSON string are escaped, so neither can be found inside a phrase. `total` is the last of
# Latency.
_PUBLISHED: Final = b'"published_s":'
_TOTAL: Final = b'"total":'


class FrameParts(NamedTuple):
    """JSON of a FrameResult, cut where `published_s` and `latency_s.total` stand; Redis fills both in."""

    before: bytes
    between: bytes
    after: bytes

    def times_in(self, data: bytes) -> tuple[float, float] | None:
        """Return (`published_s`, `latency_s.total`) of `data`; None if it is not this result with both filled
        in."""
        published, found, rest = data.removeprefix(self.before).partition(self.between)
        if not found or not data.startswith(self.before) or not rest.endswith(self.after):
            return None
        try:
            return float(published), float(rest.removesuffix(self.after))
        except ValueError:
            return None


def encode(message: Message) -> bytes:
    """Encode a message as UTF-8 JSON. Raises ValueError if it holds NaN or infinity."""
    kind = type(message)
    fields = _ADAPTERS[kind].dump_python(message, mode="json")
    whole = {"schema": SCHEMAS[kind], **fields}
    return json.dumps(whole, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def encode_parts(result: FrameResult) -> FrameParts:
    """Encode a result without its two times of publication. Raises ValueError as `encode` does."""
    data = encode(result)
    start = data.index(_PUBLISHED) + len(_PUBLISHED)
    end = data.index(b",", start)
    total_start = data.index(_TOTAL, end) + len(_TOTAL)
    total_end = data.index(b"}", total_start)
    return FrameParts(data[:start], data[end:total_start], data[total_end:])


def decode(kind: type[M], data: bytes | str) -> M:
    """Decode a message of that kind. Raises InvalidMessage, naming the field and its fault."""
    wanted = SCHEMAS[kind]
    found = _schema(data)
    if found != wanted:
        raise InvalidMessage(f"Expected a {wanted} message, found {found!r}.")
    try:
        message: M = _ADAPTERS[kind].validate_json(data, strict=True)
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InvalidMessage(f"A {wanted} message is wrong at {place}: {first['msg']}.") from exc
    return message


def _schema(data: bytes | str) -> object:
    try:
        whole = json.loads(data, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as exc:
        raise InvalidMessage(f"A message is not JSON: {exc}.") from exc
    return whole.get("schema") if isinstance(whole, dict) else None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
