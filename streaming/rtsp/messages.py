"""Parses the bytes of an RTSP connection: replies and interleaved packets (RFC 2326 §10.12). Pure.

Requests of the server are skipped: a client need not follow any of them, and REDIRECT (§10.10) is not
followed.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from http.client import HTTPException, HTTPMessage, parse_headers

MAX_HEAD_BYTES = 16 * 1024
MAX_BODY_BYTES = 256 * 1024
"""Session descriptions are a few hundred bytes."""

_DOLLAR = ord("$")
_STATUS = re.compile(rb"RTSP/\d\.\d (\d{3})\b ?(.{0,80})")
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_LENGTH = re.compile(r"[0-9]{1,9}")
_METHODS = ("OPTIONS", "ANNOUNCE", "DESCRIBE", "GET_PARAMETER", "SET_PARAMETER", "REDIRECT", "TEARDOWN")
_BEGINNINGS = [b"RTSP/", *(method.encode() + b" " for method in _METHODS)]


@dataclass(frozen=True, slots=True)
class Reply:
    """A server's reply to a request."""

    status: int
    phrase: str
    headers: HTTPMessage
    body: str


@dataclass(frozen=True, slots=True)
class Interleaved:
    """An interleaved packet."""

    channel: int
    data: bytes


class RtspParser:
    """Cuts the bytes of a connection into messages. Buffers at most one incomplete message."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._head: tuple[bytes, HTTPMessage, int] | None = None

    def feed(self, data: bytes) -> list[Reply | Interleaved]:
        """Return the messages that these bytes complete. Raises ValueError if they are not RTSP; unusable
        then."""
        self._buffer += data
        messages: list[Reply | Interleaved] = []
        position = 0
        while (end := self._next(position, messages)) is not None:
            position = end
        del self._buffer[:position]
        return messages

    def _next(self, start: int, messages: list[Reply | Interleaved]) -> int | None:
        """Parse a message at `start` into `messages`; return its end. None: it is incomplete."""
        buffer = self._buffer
        if self._head is not None:
            return self._body(start, messages)
        if start == len(buffer):
            return None
        if buffer[start] == _DOLLAR:
            return self._packet(start, messages)
        if buffer[start] in b"\r\n":
            return start + 1
        return self._head_at(start)

    def _packet(self, start: int, messages: list[Reply | Interleaved]) -> int | None:
        buffer = self._buffer
        if len(buffer) < start + 4:
            return None
        end = start + 4 + int.from_bytes(buffer[start + 2 : start + 4], "big")
        if len(buffer) < end:
            return None
        messages.append(Interleaved(buffer[start + 1], bytes(buffer[start + 4 : end])))
        return end

    def _head_at(self, start: int) -> int | None:
        buffer = self._buffer
        first = bytes(buffer[start : start + 16])
        if not any(first[: len(word)] == word[: len(first)] for word in _BEGINNINGS):
            raise ValueError("neither a reply nor a packet")
        match = _HEAD_END.search(buffer, start, start + MAX_HEAD_BYTES)
        if match is None:
            if len(buffer) - start >= MAX_HEAD_BYTES:
                raise ValueError("headers without an end")
            return None
        line, _, rest = bytes(buffer[start : match.end()]).partition(b"\n")
        try:
            headers = parse_headers(io.BytesIO(rest))
        except HTTPException as exc:
            raise ValueError("too many headers") from exc
        length = headers.get("Content-Length", "0").strip()
        if not _LENGTH.fullmatch(length) or int(length) > MAX_BODY_BYTES:
            raise ValueError("a body of impossible length")
        self._head = line.rstrip(), headers, int(length)
        return match.end()

    def _body(self, start: int, messages: list[Reply | Interleaved]) -> int | None:
        assert self._head is not None, "called with a head"
        line, headers, length = self._head
        if len(self._buffer) < start + length:
            return None
        self._head = None
        if line.startswith(b"RTSP/"):
            match = _STATUS.match(line)
            if match is None:
                raise ValueError("a reply without a status")
            body = self._buffer[start : start + length].decode(errors="replace")
            messages.append(Reply(int(match[1]), match[2].decode("ascii", "replace"), headers, body))
        return start + length
