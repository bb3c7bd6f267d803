"""A session with an RTSP server (RFC 2326): describe, set up interleaved, play, receive, keep alive.

Theory of operation. One blocking socket, read by the thread that decodes. Nothing is queued here: a decoder
that falls behind does not read, the kernel's buffer fills, and the server drops or waits, as TCP has it. The
socket goes to the address that the URL guard has pinned and to no other; redirects are refused, and what
the server names elsewhere (`Content-Base`, `a=control`) is text in our requests, never an address.

Why no library: aiortsp 1.4.0 was tried. It keeps headers without a bound; one RTP packet of three bytes ends
its session; it takes basic before digest authentication where a server offers both; it writes IPv6 URLs
without their brackets; it describes and sets up in one go, but the codec decides who reads.

TLS encrypts and does not verify, as FFmpeg's does: cameras sign their own certificates.
"""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import time
from collections import deque
from urllib.parse import unquote, urlsplit

from streaming.errors import InvalidStream, SourceForbidden, SourceInvalid, SourceStalled, SourceUnavailable
from streaming.rtsp.auth import Authenticator
from streaming.rtsp.messages import Interleaved, Reply, RtspParser
from streaming.rtsp.sdp import session_control
from streaming.url_guard import ParsedSource, redact

CONNECT_TIMEOUT_S = 1.0
"""One SYN and its first retransmission: a camera that comes back is noticed within this and the backoff's
second, however long a first picture is waited for."""

CHUNK_BYTES = 64 * 1024
"""Read at once. One read wakes us for many packets when we are late, for one or a few when we are not."""

MAX_EARLY_BYTES = 4 * 2**20
"""Packets that come before the reply to PLAY and are kept: the key frame that a stream begins with."""

KEEP_ALIVE_S = (2.0, 30.0)
"""Least and longest time between two signs of life; in between, half of what the server asks for."""

SESSION_TIMEOUT_S = 60.0
"""Where the server says nothing (RFC 2326 §12.37)."""


class RtspSession:
    """A connection to the server of `source`. One thread uses it.

    Everything up to the reply to PLAY has `timeout_s` seconds together. Every method may raise
    SourceUnavailable (cannot be reached, 404, redirected, hung up), SourceForbidden (401, 403), SourceStalled
    (no answer in time) and SourceInvalid (it speaks something else).
    """

    def __init__(self, source: ParsedSource, timeout_s: float) -> None:
        self._shown = source.shown
        split = urlsplit(source.location)
        self._url = split._replace(netloc=split.netloc.rpartition("@")[2], fragment="").geturl()
        self._authenticator = Authenticator(*_credentials(split.username, split.password))
        self._deadline_s = time.monotonic() + timeout_s
        self._parser = RtspParser()
        self._early: deque[bytes] = deque()
        self._number = 0
        self._session_id = ""
        self._channel = 0
        self._keep_alive_by = "OPTIONS"
        self._keep_alive_s = KEEP_ALIVE_S[1]
        self._next_sign_s = float("inf")
        self._socket = self._connected(source)

    def close(self) -> None:
        """Say goodbye, without waiting for an answer, and hang up. May be called twice."""
        if self._session_id:
            with contextlib.suppress(SourceUnavailable, SourceStalled):
                self._send("TEARDOWN", self._url, {})
        self._session_id = ""
        self._socket.close()

    def describe(self) -> str:
        """The session description (SDP)."""
        options = self._request("OPTIONS", self._url, {})
        if "GET_PARAMETER" in options.headers.get("Public", ""):
            self._keep_alive_by = "GET_PARAMETER"
        reply = self._request("DESCRIBE", self._url, {"Accept": "application/sdp"})
        base = reply.headers.get("Content-Base") or reply.headers.get("Content-Location") or self._url
        self._url = _joined(base.strip(), session_control(reply.body))
        return reply.body

    def play(self, control: str) -> None:
        """Set up the track that `control` (of its description) names, over this connection, and play it."""
        transport = {"Transport": "RTP/AVP/TCP;unicast;interleaved=0-1"}
        reply = self._request("SETUP", _joined(self._url, control), transport)
        channels = re.search(r"interleaved=(\d{1,3})", reply.headers.get("Transport", ""))
        self._channel = int(channels[1]) if channels else 0
        session_id, _, rest = reply.headers.get("Session", "").partition(";")
        self._session_id = session_id.strip()
        asked = re.search(r"timeout=(\d{1,6})", rest)
        least_s, longest_s = KEEP_ALIVE_S
        half_s = (float(asked[1]) if asked else SESSION_TIMEOUT_S) / 2
        self._keep_alive_s = min(max(half_s, least_s), longest_s)
        self._request("PLAY", self._url, {"Range": "npt=0.000-"})
        self._next_sign_s = time.monotonic() + self._keep_alive_s

    def receive(self, timeout_s: float) -> list[bytes]:
        """The RTP packets that have come; waits for the first at most `timeout_s` seconds, then none."""
        if self._early:
            packets = list(self._early)
            self._early.clear()
            return packets
        self._show_life()
        packets = []
        for each in self._read(timeout_s):
            if isinstance(each, Reply):
                self._heed(each)
            elif each.channel == self._channel:
                packets.append(each.data)
        return packets

    def _heed(self, reply: Reply) -> None:
        # An answer to a sign of life: only that our authorisation has aged matters, to the next one.
        if reply.status == 401:
            self._authenticator.learn(reply.headers.get_all("WWW-Authenticate", []))

    def _show_life(self) -> None:
        now_s = time.monotonic()
        if now_s >= self._next_sign_s:
            self._next_sign_s = now_s + self._keep_alive_s
            self._send(self._keep_alive_by, self._url, {})

    def _connected(self, source: ParsedSource) -> socket.socket:
        connection: socket.socket | None = None
        try:
            connection = socket.create_connection((source.address, source.port), timeout=CONNECT_TIMEOUT_S)
            if source.scheme == "rtsps":
                connection.settimeout(self._left_s())
                connection = _unverified().wrap_socket(connection, server_hostname=source.host)
        except OSError as exc:
            if connection is not None:
                connection.close()
            reason = exc.strerror or "it does not answer"
            raise SourceUnavailable(
                f"{self._shown} cannot be reached: {reason}.",
                remedy="Check that it is on and the address right.",
            ) from exc
        return connection

    def _request(self, method: str, url: str, headers: dict[str, str]) -> Reply:
        """The server's good answer; asked again once when it wants to know who we are."""
        reply = self._asked(method, url, headers)
        if reply.status == 401 and self._authenticator.learn(reply.headers.get_all("WWW-Authenticate", [])):
            reply = self._asked(method, url, headers)
        if not 200 <= reply.status < 300:
            raise self._refusal(reply)
        return reply

    def _asked(self, method: str, url: str, headers: dict[str, str]) -> Reply:
        self._send(method, url, headers)
        early_bytes = 0
        while True:
            found = None
            for each in self._read(self._left_s()):
                if isinstance(each, Interleaved):
                    early_bytes += len(each.data)
                    if each.channel == self._channel and early_bytes <= MAX_EARLY_BYTES:
                        self._early.append(each.data)
                elif each.headers.get("CSeq", "").strip() == str(self._number):
                    found = each
            if found is not None:
                return found

    def _left_s(self) -> float:
        left_s = self._deadline_s - time.monotonic()
        if left_s <= 0:
            raise self._silent()
        return left_s

    def _send(self, method: str, url: str, headers: dict[str, str]) -> None:
        self._number += 1
        lines = [f"{method} {url} RTSP/1.0", f"CSeq: {self._number}", "User-Agent: saccade"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if self._session_id:
            lines.append(f"Session: {self._session_id}")
        if authorization := self._authenticator.header(method, url):
            lines.append(f"Authorization: {authorization}")
        try:
            self._socket.settimeout(CONNECT_TIMEOUT_S)
            self._socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        except TimeoutError as exc:
            raise self._silent() from exc
        except OSError as exc:
            raise self._lost(exc) from exc

    def _read(self, timeout_s: float) -> list[Reply | Interleaved]:
        """The messages that have come; none after `timeout_s` seconds."""
        try:
            if self._socket.gettimeout() != timeout_s:  # setting it is a system call, for every packet
                self._socket.settimeout(timeout_s)
            data = self._socket.recv(CHUNK_BYTES)
        except TimeoutError:
            return []
        except OSError as exc:
            raise self._lost(exc) from exc
        if not data:
            raise SourceUnavailable(f"{self._shown} hung up.", remedy="It is opened again.")
        try:
            return self._parser.feed(data)
        except ValueError as exc:
            raise SourceInvalid(
                f"{self._shown} does not speak RTSP: {exc}.", remedy="Check the port and the path."
            ) from exc

    def _refusal(self, reply: Reply) -> SourceUnavailable:
        if reply.status in (401, 403):
            return SourceForbidden(
                f"{self._shown} does not let us in.", remedy="Check the user and the password."
            )
        if reply.status == 404:
            return SourceUnavailable(
                f"{self._shown}: the server has nothing at this path (404).",
                remedy="Check the path, or start its camera.",
            )
        if 300 <= reply.status < 400:
            place = redact(reply.headers.get("Location", "elsewhere").strip()[:200])
            return SourceUnavailable(
                f"{self._shown} redirects to {place!r}, which is not followed.",
                remedy="If you trust that address, give it as the source.",
            )
        return SourceUnavailable(
            f"{self._shown} answers {reply.status} {reply.phrase!r}.", remedy="Check that it plays elsewhere."
        )

    def _lost(self, exc: OSError) -> SourceUnavailable:
        reason = exc.strerror or "the connection broke"
        return SourceUnavailable(f"{self._shown}: {reason}.", remedy="Check that it is on and reachable.")

    def _silent(self) -> SourceStalled:
        return SourceStalled(
            f"{self._shown} did not answer in time.", remedy="Check that it is on and reachable."
        )


def _credentials(user: str | None, password: str | None) -> tuple[str, str]:
    """What stands in the URL, decoded. Raises InvalidStream: a line break would end our header."""
    decoded = unquote(user or ""), unquote(password or "")
    if not all(text.isprintable() for text in decoded):
        raise InvalidStream("The user or the password holds control characters.", remedy="Check the URL.")
    return decoded


def _unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _joined(base: str, control: str) -> str:
    """A control attribute's URL (RFC 2326 §C.1.1), joined as servers mean it: appended, queries and all."""
    if control in ("", "*"):
        return base
    if re.match(r"rtsps?://", control, re.IGNORECASE):
        return control
    return f"{base.removesuffix('/')}/{control.removeprefix('/')}"
