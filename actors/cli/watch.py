"""`saccade watch`: show the WebSocket feed of a stream as a live table, or print it as JSON lines."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidProxy, InvalidStatus
from websockets.typing import Subprotocol

from actors.cli.api_client import unusable_proxy, uses_proxy
from actors.cli.tables import add_cells
from streaming.errors import NotFound, SaccadeError, ServiceUnavailable, Unauthorised

EVENTS_SHOWN = 8
_MESSAGE_BYTES = 4 << 20
_NOT_FOUND = 4404
"WebSocket close code of the feed for a stream that does not exist or was removed."


class Board:
    """State of the display: the tracks of the newest frame and the last `EVENTS_SHOWN` events. Pure."""

    def __init__(self, stream_id: str) -> None:
        self._stream_id = stream_id
        self._frame: dict[str, Any] = {}
        self._lines: deque[str] = deque(maxlen=EVENTS_SHOWN)

    def update(self, message: dict[str, Any]) -> None:
        """Update the display with a message of the feed; unknown schemas are ignored."""
        kind = str(message.get("schema", "")).partition("/")[0]
        if kind == "saccade.frame":
            self._frame = message
        elif kind == "saccade.event":
            track = message.get("after") or message.get("before") or {}
            description = f"{track.get('phrase', '')} {track.get('state', '')}"
            self._lines.append(f"{message['type']:6} #{message['track_id']} {description}")
        elif kind == "saccade.answer":
            self._lines.append(f"answer {message['text']}")
        elif kind == "saccade.error":
            self._lines.append(f"error  {message['message']}")

    def render(self) -> Group:
        """Return the display as a rich renderable."""
        table = Table("id", "phrase", "state", "score", "box (px)", box=None, pad_edge=False)
        for track in self._frame.get("tracks", []):
            box = track["box_px"]
            corners = " ".join(f"{edge:.0f}" for edge in box) if box else ""
            score = f"{track['score']:.2f}"
            add_cells(table, str(track["track_id"]), track["phrase"], track["state"], score, corners)
        return Group(self._headline(), table, *(Text(line, style="dim") for line in self._lines))

    def _headline(self) -> Text:
        if not self._frame:
            return Text(f"{self._stream_id}: waiting for frames ...", style="bold")
        age_ms = 1000 * self._frame["latency_s"]["total"]
        return Text(
            f"{self._stream_id}: frame {self._frame['frame_index']}, {age_ms:.0f} ms old, "
            f"{self._frame['dropped']} dropped before it",
            style="bold",
        )


Show = Callable[[ClientConnection], Awaitable[None]]


async def watch_stream(server: str, token: str | None, stream_id: str, show: Show) -> None:
    """Connect to the feed of a stream and await `show` with the connection.

    Raises NotFound (no such stream), Unauthorised, ServiceUnavailable (no service, or the feed ended),
    InvalidSettings (a proxy of the environment that cannot be used).
    """
    feed = connect(
        f"ws{server.removeprefix('http').rstrip('/')}/v1/streams/{stream_id}/feed",
        additional_headers={"Authorization": f"Bearer {token}"} if token else {},
        subprotocols=[Subprotocol("saccade")],
        max_size=_MESSAGE_BYTES,
        proxy=uses_proxy(server) or None,
    )
    try:
        async with feed as connection:
            await show(connection)
    except InvalidStatus as exc:
        raise _refusal(exc.response.status_code, stream_id) from exc
    except ConnectionClosed as exc:
        code = exc.rcvd.code if exc.rcvd else None
        raise _refusal(404 if code == _NOT_FOUND else 503, stream_id) from exc
    except (ImportError, InvalidProxy) as exc:
        raise unusable_proxy(exc) from exc
    except (OSError, InvalidHandshake) as exc:
        raise ServiceUnavailable(
            f"No service answers at {server}.",
            remedy="Start one with `saccade up`, or name it with --server.",
        ) from exc


async def print_lines(feed: ClientConnection) -> None:
    """Print the messages of the feed on stdout, one JSON object a line."""
    async for message in feed:
        print(message if isinstance(message, str) else message.decode(), flush=True)


async def draw_board(feed: ClientConnection, board: Board, console: Console) -> None:
    """Redraw the board in place for each message of the feed."""
    with Live(board.render(), console=console, auto_refresh=False, transient=True) as live:
        shown_s = 0.0
        async for message in feed:
            board.update(json.loads(message))
            now_s = asyncio.get_running_loop().time()
            # Ten redraws a second: faster ones cannot be read and cost CPU time.
            if now_s - shown_s >= 0.1:
                shown_s = now_s
                live.update(board.render(), refresh=True)


def _refusal(status: int, stream_id: str) -> SaccadeError:
    if status == 404:
        return NotFound(f"There is no stream {stream_id}.", remedy="See `saccade stream list`.")
    if status in (401, 403):
        return Unauthorised("The service wants a token.", remedy="Set SACCADE_API_TOKEN.")
    return ServiceUnavailable("The feed ended.", remedy="Is the service still running?")
