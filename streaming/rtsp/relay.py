"""A relay on loopback between FFmpeg's RTSP client and the one address that the URL guard has checked.

Left alone, FFmpeg follows a redirect (3xx) to any host, this machine included, and sends UDP to any address
that a server names as its `source`; no option prevents either (libavformat/rtsp.c, `ff_rtsp_connect` and
`ff_rtsp_make_setup_request`). So it is given this relay's URL. The relay connects to the pinned address,
takes one connection, and scans what the server sends before FFmpeg reads it: a status line with 3xx ends
both connections, and every `source` becomes the pinned address.
"""

from __future__ import annotations

import re
import select
import socket
import ssl
import threading

from streaming.errors import SourceUnavailable, SourceUnreadable
from streaming.rtsp.session import connect, redirected
from streaming.url_guard import RELAY_IT, ParsedSource, replace_host

CHUNK_BYTES = 16 * 1024
"""At least a TLS record, which a socket may hold beyond what `select` sees."""
POLL_S = 0.5
SEND_TIMEOUT_S = 5.0
"""A side that takes nothing for this long ends the relay."""
_LINE_BYTES = 8 * 1024
"""FFmpeg's longest line is 4 KiB."""

# Supersets of what FFmpeg takes for these lines; it skips carriage returns wherever they are.
_REDIRECT = re.compile(rb"RTSP/[^ \t\n]*[ \t\v\f]+[+]?0*3\d\d")
_LOCATION = re.compile(rb"^Location:[ \t]*([!-~]+)[ \t]*\n", re.IGNORECASE | re.MULTILINE)
_TRANSPORT = re.compile(rb"^[ \t]*Transport:", re.IGNORECASE)
_SOURCE = re.compile(rb"[;, \t]*source[^;,\n]*", re.IGNORECASE)


class Relay:
    """Relays one connection to the server of `source`, connected when constructed; its thread ends with
    either side, or by `close`. Raises SourceUnavailable as `session.connect` does."""

    def __init__(self, source: ParsedSource, timeout_s: float) -> None:
        self.problem: SourceUnavailable | None = None
        "Why the relay ended the connection, if it did."
        self.source = source
        self._server = connect(source, timeout_s)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1)
        self.location = replace_host(source.location, "rtsp", f"127.0.0.1:{self._listener.getsockname()[1]}")
        "URL for FFmpeg, with the credentials of the source."
        self._line = self._seen = b""
        self._plays = False
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rtsp-relay", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the relay. May be called twice."""
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        with self._listener, self._server:
            while not select.select([self._listener], [], [], POLL_S)[0]:
                if self._closing.is_set():
                    return
            client, _ = self._listener.accept()
            self._listener.close()  # a second connection would be a redirect to this relay
            with client:
                try:
                    while not self._closing.is_set() and self._pass_on(client):
                        pass
                except SourceUnavailable as exc:
                    self.problem = exc
                except OSError:
                    return  # FFmpeg reports that its connection ended

    def _pass_on(self, client: socket.socket) -> bool:
        """Pass on what a side has sent; return False at the end of either. Raises SourceUnavailable at a
        redirect, and OSError."""
        for side in select.select([client, self._server], [], [], POLL_S)[0]:
            side.settimeout(0)
            try:
                data = side.recv(CHUNK_BYTES)
            except ssl.SSLWantReadError:
                continue  # a record without data, such as a session ticket
            finally:
                side.settimeout(SEND_TIMEOUT_S)
            if not data:
                return False
            if side is client:
                self._plays |= data.startswith(b"PLAY ")
                self._server.sendall(data)
                continue
            self._seen = (self._seen + data.replace(b"\r", b""))[-_LINE_BYTES - len(data) :]
            if _REDIRECT.search(self._seen):
                place = _LOCATION.search(self._seen)
                raise redirected(self.source.shown, place[1].decode() if place else "elsewhere")
            client.sendall(data if self._plays else self._pinned(data))
        return True

    def _pinned(self, data: bytes) -> bytes:
        """Return text with the pinned address as every `source`; hold back a last line that may name one.

        Raises SourceUnreadable: a packet.
        """
        *lines, last = (self._line + data).split(b"\n")
        *bare, bare_last = [line.replace(b"\r", b"") for line in (*lines, last)]
        if any(line.startswith(b"$") for line in (*bare, bare_last)):
            # After it, FFmpeg would begin a line where this does not.
            raise SourceUnreadable(
                f"{self.source.shown} sends a packet before PLAY, which is not relayed.", remedy=RELAY_IT
            )
        is_open = _TRANSPORT.match(bare_last) or b"transport:".startswith(bare_last.strip(b" \t").lower())
        self._line, last = (last[:_LINE_BYTES], b"") if is_open else (b"", last)
        pin = f";source={self.source.address}\r".encode()
        for index, line in enumerate(bare):
            if _TRANSPORT.match(line):
                lines[index] = _SOURCE.sub(b"", line) + pin
        return b"".join(line + b"\n" for line in lines) + last
