"""RTSP session (RFC 2326): DESCRIBE, SETUP over interleaved TCP, PLAY, receiving, keep-alive.

Theory of operation. One blocking socket, read by the thread that decodes. The socket connects to the address
that the URL guard has resolved and to no other; redirects are refused, and URLs that the server sends
(`Content-Base`, `a=control`) are text in our requests, never an address.

Servers deviate, and FFmpeg, VLC (live555) and go2rtc tolerate: an OPTIONS that fails, a CSeq that is missing
or wrong, a Content-Base that is no URL, a nonce that is stale at once, requests of the server (answered), a
GET_PARAMETER that is advertised and then refused, or ends the connection.

Why no library: aiortsp 1.4.0 was tried. Its headers are unbounded; an RTP packet of three bytes ends its
session; it prefers basic to digest authentication; it writes IPv6 URLs without brackets; it cannot DESCRIBE
without SETUP, but the codec decides whether FFmpeg reads the stream.

TLS is not verified, as in FFmpeg: cameras have self-signed certificates.
"""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import time
from urllib.parse import unquote, urlsplit

from streaming.errors import (
    InvalidStream,
    SourceError,
    SourceForbidden,
    SourceStalled,
    SourceUnavailable,
    SourceUnreadable,
)
from streaming.rtsp.auth import Authenticator
from streaming.rtsp.messages import Interleaved, Message, Reply, Request, RtspParser
from streaming.rtsp.sdp import session_control
from streaming.url_guard import MAX_URL_CHARS, ParsedSource, redact

CONNECT_TIMEOUT_S = 1.0
"""One SYN and its first retransmission. A camera that is back is connected within this and the backoff's
second, however long the timeout of the first frame is."""

CHUNK_BYTES, TLS_RECORD_BYTES = 64 * 1024, 16 * 1024
"""Most bytes of one read: many packets when decoding is late. A full read means that more is waiting."""
MAX_EARLY_BYTES = 4 * 2**20
"""Most bytes of packets kept that arrive before the reply to PLAY: the IDR that a stream begins with."""
KEEP_ALIVE_S = (2.0, 30.0)
"""Least and longest interval of keep-alive requests; in between, half of the session timeout."""
SESSION_TIMEOUT_S = 60.0
"""Default session timeout (RFC 2326 §12.37)."""
PROBE_S = 1.0
"""A server that sends nothing for this long is asked for a sign of life; by no more than this often."""
LATE_CSEQ_S = 1.0
"""A reply with the number of an earlier request is taken if no other comes within this."""
MAX_QUOTED_CHARS = 200
"""Of a server's text in a message."""


class RtspSession:
    """RTSP session with the server of `source`, connected when constructed. One thread uses it.

    All requests up to PLAY share `timeout_s` seconds. Every method may raise
    SourceUnavailable (cannot be reached, 404, redirected, hung up), SourceForbidden (401, 403), SourceStalled
    (no answer in time) and SourceUnreadable (it speaks something else, or refuses what we ask).
    """

    def __init__(self, source: ParsedSource, timeout_s: float, fatal_methods: set[str] | None = None) -> None:
        """fatal_methods: keep-alive methods that end connections of this server; filled in by its
        sessions."""
        self.last_received_s = time.monotonic()
        "Monotonic time at which the server last sent anything."
        self.is_drained = True
        "The last `receive` left nothing to be read."
        self._shown = source.shown
        self._fatal_methods = set() if fatal_methods is None else fatal_methods
        split = urlsplit(source.location)
        self._url = split._replace(netloc=split.netloc.rpartition("@")[2], fragment="").geturl()
        self._authenticator = Authenticator(*_credentials(split.username, split.password))
        self._deadline_s = time.monotonic() + timeout_s
        self.parser = RtspParser()
        self._early_packets: list[bytes] = []
        self._early_bytes = 0
        self._cseq = 0
        self._session_id = ""
        self._channel = 0
        self._keep_alive_method = "OPTIONS"
        self._awaits_keep_alive = False
        self._sent_s = 0.0
        self._chunk_bytes = CHUNK_BYTES if source.scheme == "rtsp" else TLS_RECORD_BYTES
        self._keep_alive_s = KEEP_ALIVE_S[1]
        self._next_keep_alive_s = float("inf")
        self._socket = connect(source, timeout_s)

    def close(self) -> None:
        """Send TEARDOWN without waiting for the reply, and close the connection. May be called twice."""
        if self._session_id:
            with contextlib.suppress(SourceUnavailable, SourceStalled):
                self._send("TEARDOWN", self._url, {})
        self._session_id = ""
        self._socket.close()

    def describe(self) -> str:
        """Return the session description (SDP)."""
        options = self._authorised("OPTIONS", self._url, {})
        if options.status in (401, 403):
            raise self._refusal(options)
        if (
            "GET_PARAMETER" in options.headers.get("Public", "")
            and "GET_PARAMETER" not in self._fatal_methods
        ):
            self._keep_alive_method = "GET_PARAMETER"
        reply = self._request("DESCRIBE", self._url, {"Accept": "application/sdp"})
        bases = (reply.headers.get(name, "").strip() for name in ("Content-Base", "Content-Location"))
        base = next((each for each in bases if _is_url(each)), self._url)
        self._url = _joined(base, session_control(reply.body))
        return reply.body

    def play(self, control: str) -> None:
        """SETUP the track with this control URL (`a=control`) over this connection, and PLAY it."""
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
        self._next_keep_alive_s = time.monotonic() + self._keep_alive_s

    def receive(self, timeout_s: float) -> list[bytes]:
        """Return the RTP and RTCP packets that have arrived; wait for the first at most `timeout_s` s."""
        if self._early_packets:
            packets, self._early_packets = self._early_packets, []
            return packets
        self._keep_alive()
        messages, size = self._read(timeout_s)
        self.is_drained = size < self._chunk_bytes
        for each in messages:
            if isinstance(each, Reply):
                self._handle_late_reply(each)
        return self._packets(messages)

    def _packets(self, messages: list[Message]) -> list[bytes]:
        channels = (self._channel, self._channel + 1)
        return [each.data for each in messages if isinstance(each, Interleaved) and each.channel in channels]

    def _handle_late_reply(self, reply: Reply) -> None:
        # The reply to a keep-alive. A 401 says that the digest nonce is stale: the next request uses the new
        # nonce.
        self._awaits_keep_alive = False
        if reply.status == 401:
            self._authenticator.set_challenges(reply.headers.get_all("WWW-Authenticate", []))
        elif reply.status >= 400:
            self._keep_alive_method = "OPTIONS"

    def _keep_alive(self) -> None:
        now_s = time.monotonic()
        is_silent = now_s - max(self.last_received_s, self._sent_s) >= PROBE_S
        if now_s >= self._next_keep_alive_s or is_silent:
            self._next_keep_alive_s = now_s + self._keep_alive_s
            self._awaits_keep_alive = True
            self._send(self._keep_alive_method, self._url, {})

    def _request(self, method: str, url: str, headers: dict[str, str]) -> Reply:
        """Send a request and return the reply to it; raise a refusal."""
        reply = self._authorised(method, url, headers)
        if not 200 <= reply.status < 300:
            raise self._refusal(reply)
        return reply

    def _authorised(self, method: str, url: str, headers: dict[str, str]) -> Reply:
        """Send a request; repeat it with authorization after a 401, twice if the nonce was stale at once."""
        reply = self._exchange(method, url, headers)
        for is_second in (False, True):
            challenges = reply.headers.get_all("WWW-Authenticate", [])
            is_stale = re.search(r'stale="?true', "".join(challenges), re.IGNORECASE)
            may_retry = reply.status == 401 and (is_stale or not is_second)
            if may_retry and self._authenticator.set_challenges(challenges):
                reply = self._exchange(method, url, headers)
        return reply

    def _exchange(self, method: str, url: str, headers: dict[str, str]) -> Reply:
        self._send(method, url, headers)
        other: Reply | None = None
        taken_s = self._deadline_s
        while other is None or time.monotonic() < taken_s:
            wait_s = self._remaining_s() if other is None else max(0.0, taken_s - time.monotonic())
            messages, _ = self._read(wait_s)
            for packet in self._packets(messages):
                self._early_bytes += len(packet)
                if self._early_bytes <= MAX_EARLY_BYTES:
                    self._early_packets.append(packet)
            replies = [each for each in messages if isinstance(each, Reply) and each.status >= 200]
            for each in replies:
                cseq = each.headers.get("CSeq", "").strip()
                # Nothing else was asked: a reply without a usable number is to this request.
                if cseq == str(self._cseq) or not cseq.isdecimal():
                    return each
            if replies:
                other, taken_s = replies[-1], min(time.monotonic() + LATE_CSEQ_S, self._deadline_s)
        return other

    def _remaining_s(self) -> float:
        left_s = self._deadline_s - time.monotonic()
        if left_s <= 0:
            raise self._timed_out()
        return left_s

    def _send(self, method: str, url: str, headers: dict[str, str]) -> None:
        self._cseq += 1
        self._sent_s = time.monotonic()
        lines = [f"{method} {url} RTSP/1.0", f"CSeq: {self._cseq}", "User-Agent: saccade"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if self._session_id:
            lines.append(f"Session: {self._session_id}")
        if authorization := self._authenticator.header(method, url):
            lines.append(f"Authorization: {authorization}")
        self._write(lines)

    def _write(self, lines: list[str]) -> None:
        try:
            self._socket.settimeout(CONNECT_TIMEOUT_S)
            self._socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        except OSError as exc:
            raise self._broken(exc) from exc

    def _read(self, timeout_s: float) -> tuple[list[Message], int]:
        """Return the messages that have arrived and the bytes read; none after `timeout_s` seconds."""
        try:
            # Not on every packet: settimeout is a system call.
            if self._socket.gettimeout() != timeout_s:
                self._socket.settimeout(timeout_s)
            data = self._socket.recv(self._chunk_bytes)
        except (TimeoutError, BlockingIOError, ssl.SSLWantReadError):
            return [], 0
        except OSError as exc:
            self._note_end()
            raise self._broken(exc) from exc
        if not data:
            self._note_end()
            kind = SourceUnavailable if self._next_keep_alive_s < float("inf") else SourceUnreadable
            raise kind(f"{self._shown} hung up.", remedy="It is opened again.")
        self.last_received_s = time.monotonic()
        try:
            messages = self.parser.feed(data)
        except ValueError as exc:
            raise SourceUnreadable(
                f"{self._shown} does not speak RTSP: {exc}.", remedy="Check the port and the path."
            ) from exc
        for each in messages:
            if isinstance(each, Request):
                self._answer(each)
        return messages, len(data)

    def _note_end(self) -> None:
        if self._awaits_keep_alive:
            self._fatal_methods.add(self._keep_alive_method)

    def _answer(self, request: Request) -> None:
        """Answer a request of the server, as FFmpeg does: one that is harmless by 200, any other by 501."""
        is_known = request.method in ("OPTIONS", "GET_PARAMETER", "SET_PARAMETER")
        cseq = re.sub(r"\D", "", request.headers.get("CSeq", ""))[:9]
        self._write(["RTSP/1.0 200 OK" if is_known else "RTSP/1.0 501 Not Implemented", f"CSeq: {cseq}"])

    def _refusal(self, reply: Reply) -> SourceUnavailable:
        if reply.status in (401, 403):
            return SourceForbidden(
                f"{self._shown} refused the user or the password (401 or 403).",
                remedy="Check the user and the password.",
            )
        if reply.status == 404:
            return SourceUnavailable(
                f"{self._shown}: the server has nothing at this path (404).",
                remedy="Check the path, or start its camera.",
            )
        if 300 <= reply.status < 400:
            return redirected(self._shown, reply.headers.get("Location", "elsewhere"))
        return SourceUnreadable(
            f"{self._shown} answers {reply.status} {_quoted(reply.phrase)}.",
            remedy="Check that it plays elsewhere.",
        )

    def _broken(self, exc: OSError) -> SourceError:
        if isinstance(exc, TimeoutError):
            return self._timed_out()
        reason = exc.strerror or "the connection broke"
        return SourceUnavailable(f"{self._shown}: {reason}.", remedy="Check that it is on and reachable.")

    def _timed_out(self) -> SourceStalled:
        return SourceStalled(
            f"{self._shown} did not answer in time.", remedy="Check that it is on and reachable."
        )


def connect(source: ParsedSource, timeout_s: float) -> socket.socket:
    """Connect to the checked address of a source, by TLS for rtsps. Raises SourceUnavailable."""
    connection: socket.socket | None = None
    try:
        connection = socket.create_connection((source.address, source.port), timeout=CONNECT_TIMEOUT_S)
        if source.scheme == "rtsps":
            connection.settimeout(timeout_s)
            connection = _unverified().wrap_socket(connection, server_hostname=source.host)
    except OSError as exc:
        if connection is not None:
            connection.close()
        reason = exc.strerror or "it does not answer"
        raise SourceUnavailable(
            f"{source.shown} cannot be reached: {reason}.",
            remedy="Check that it is on and the address right.",
        ) from exc
    return connection


def redirected(shown: str, place: str) -> SourceUnavailable:
    """Return the error for a redirect (3xx) to `place`; its credentials are masked."""
    return SourceUnavailable(
        f"{shown} redirects to {_quoted(place)}, which is not followed.",
        remedy="If you trust that address, give it as the source.",
    )


def _quoted(text: str) -> str:
    """Return a server's text for a message, with masked credentials; only then cut, else a URL could lose
    the `@` by which its password is found."""
    return repr(redact(text.strip())[:MAX_QUOTED_CHARS]) if len(text) <= MAX_URL_CHARS else "a long text"


def _credentials(user: str | None, password: str | None) -> tuple[str, str]:
    """Return user and password, percent-decoded. Raises InvalidStream: a line break would end the header."""
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
    """Resolve a control attribute (RFC 2326 §C.1.1) as servers mean it: appended, after any query string."""
    if control in ("", "*"):
        return base
    if _is_url(control):
        return control
    return f"{base.removesuffix('/')}/{control.removeprefix('/')}"


def _is_url(text: str) -> bool:
    return re.match(r"rtsps?://[^/\s]", text, re.IGNORECASE) is not None
