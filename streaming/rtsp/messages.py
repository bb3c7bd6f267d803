"""Parses the bytes of an RTSP connection: replies, the server's own requests, and interleaved packets
(RFC 2326 §10.12). Pure.

Servers deviate. Bytes between messages (old live555, Reolink) are skipped, and counted, up to the next reply
or packet of a sender (SSRC) seen before. Header lines without a colon are left out.
"""

from __future__ import annotations

import io
import re
from collections import deque
from dataclasses import dataclass
from http.client import HTTPException, HTTPMessage, parse_headers

from streaming.rtsp.capture_clock import is_rtcp

MAX_HEAD_BYTES = 16 * 1024
MAX_BODY_BYTES = 256 * 1024
"""Session descriptions are a few hundred bytes."""
MAX_STRAY_BYTES = 256 * 1024
"""Bytes skipped without a message in between after which a connection is given up."""
MAX_CHANNEL = 31
"""Channels that are taken for interleaved packets: clients ask for 0 and 1, servers give one pair a track."""

_DOLLAR = ord("$")
_STATUS = re.compile(rb"RTSP/\d\.\d (\d{3})\b ?(.*)")
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_LENGTH = re.compile(r"[0-9]{1,9}")
_RESYNC = re.compile(rb"\$[\x00-\x1f](?s:..)[\x80-\xbf]|RTSP/\d")
"""Where to continue after stray bytes: a packet of RTP or RTCP (both version 2), or a reply."""
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
class Request:
    """A request of the server, to be answered."""

    method: str
    headers: HTTPMessage


@dataclass(frozen=True, slots=True)
class Interleaved:
    """An interleaved packet."""

    channel: int
    data: bytes


Message = Reply | Request | Interleaved


class RtspParser:
    """Cuts the bytes of a connection into messages. Buffers at most one incomplete message."""

    def __init__(self) -> None:
        self.stray_runs = 0
        "Stretches of bytes so far that belonged to no message."
        self._senders: deque[bytes] = deque(maxlen=4)
        self._skipped: int | None = None  # since the last message; None before the first
        self._buffer = bytearray()
        self._head: tuple[bytes, HTTPMessage, int] | None = None

    def feed(self, data: bytes) -> list[Message]:
        """Return the messages that these bytes complete. Raises ValueError if they are not RTSP; unusable
        then."""
        self._buffer += data
        messages: list[Message] = []
        position = count = 0
        while (end := self._next(position, messages)) is not None:
            if len(messages) > count:
                count, self._skipped = len(messages), 0
            position = end
        del self._buffer[:position]
        return messages

    def _next(self, start: int, messages: list[Message]) -> int | None:
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
        first = bytes(buffer[start : start + 16])
        if any(first[: len(word)] == word[: len(first)] for word in _BEGINNINGS):
            return self._head_at(start)
        return self._resync(start)

    def _resync(self, start: int) -> int | None:
        """Skip the byte at `start` and what follows it, up to something that looks like a message."""
        found = (match.start() for match in _RESYNC.finditer(self._buffer, start + 1))
        match = next((at for at in found if self._may_begin(at)), None)
        # The last bytes may be the beginning of what is looked for.
        end = max(start, len(self._buffer) - 4) if match is None else match
        if self._skipped is None or self._skipped + end - start > MAX_STRAY_BYTES:
            raise ValueError("neither a reply nor a packet")
        self.stray_runs += self._skipped == 0 < end - start
        self._skipped += end - start
        return end if end > start else None

    def _may_begin(self, at: int) -> bool:
        """Return False where a `$` begins no packet: a random length would cover up to 64 KiB."""
        head = self._buffer[at : at + 16]
        if head[0] != _DOLLAR or len(head) < 16 or not self._senders:
            return len(head) < 2 or head[0] != _DOLLAR or head[1] <= MAX_CHANNEL
        return head[1] <= MAX_CHANNEL and not {bytes(head[8:12]), bytes(head[12:])}.isdisjoint(self._senders)

    def _packet(self, start: int, messages: list[Message]) -> int | None:
        buffer = self._buffer
        if len(buffer) < start + 4:
            return None
        if buffer[start + 1] > MAX_CHANNEL or (self.stray_runs and not self._may_begin(start)):
            return self._resync(start)
        end = start + 4 + int.from_bytes(buffer[start + 2 : start + 4], "big")
        if len(buffer) < end:
            return None
        data = bytes(buffer[start + 4 : end])
        sender = data[4:8] if is_rtcp(data) else data[8:12]
        if len(sender) == 4 and sender not in self._senders:
            self._senders.append(sender)
        messages.append(Interleaved(buffer[start + 1], data))
        return end

    def _head_at(self, start: int) -> int | None:
        buffer = self._buffer
        match = _HEAD_END.search(buffer, start, start + MAX_HEAD_BYTES)
        if match is None:
            if len(buffer) - start >= MAX_HEAD_BYTES:
                raise ValueError("headers without an end")
            return None
        line, _, rest = bytes(buffer[start : match.end()]).partition(b"\n")
        fields = b"".join(each for each in rest.splitlines(keepends=True) if b":" in each or not each.strip())
        try:
            headers = parse_headers(io.BytesIO(fields))
        except HTTPException as exc:
            raise ValueError("too many headers") from exc
        length = headers.get("Content-Length", "0").strip()
        if not _LENGTH.fullmatch(length) or int(length) > MAX_BODY_BYTES:
            raise ValueError("a body of impossible length")
        self._head = line.rstrip(), headers, int(length)
        return match.end()

    def _body(self, start: int, messages: list[Message]) -> int | None:
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
        else:
            messages.append(Request(line.split()[0].decode(), headers))
        return start + length
