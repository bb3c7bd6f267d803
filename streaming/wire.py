"""Everything that is stored or sent, as JSON bytes: one object, its `schema` first, then the fields by name.

`saccade.frame/1` is documented in the README; the others have the fields of their class. Within a version
fields are only added, so a reader skips names it does not know; a missing field or a wrong type is an
`InvalidMessage`. Enumerations are their values, tuples are lists, moments are Unix seconds, None is null.
NaN and infinity are not JSON: writing one is our bug and raises ValueError.
"""

from __future__ import annotations

import json
from typing import Any, Final, NoReturn, TypeVar

from pydantic import TypeAdapter, ValidationError

from streaming.errors import InvalidMessage
from streaming.events import AnswerReport, ErrorReport, Event, WordsReport
from streaming.vocabulary import FrameResult, Query, StreamSpec

Message = FrameResult | Event | AnswerReport | WordsReport | ErrorReport | StreamSpec | Query
M = TypeVar("M", FrameResult, Event, AnswerReport, WordsReport, ErrorReport, StreamSpec, Query)

SCHEMAS: Final[dict[type[Any], str]] = {
    FrameResult: "saccade.frame/1",
    Event: "saccade.event/1",
    AnswerReport: "saccade.answer/1",
    WordsReport: "saccade.words/1",
    ErrorReport: "saccade.error/1",
    StreamSpec: "saccade.stream/1",
    Query: "saccade.query/1",
}
_ADAPTERS: Final[dict[type[Any], TypeAdapter[Any]]] = {kind: TypeAdapter(kind) for kind in SCHEMAS}


def encode(message: Message) -> bytes:
    """UTF-8 JSON of a message, its schema first."""
    kind = type(message)
    fields = _ADAPTERS[kind].dump_python(message, mode="json")
    whole = {"schema": SCHEMAS[kind], **fields}
    return json.dumps(whole, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def decode(kind: type[M], data: bytes | str) -> M:
    """The message of that kind. Raises InvalidMessage, naming the field and its fault."""
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
