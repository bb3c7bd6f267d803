"""Serves the page in tests: a gateway over Redis, and functions that publish results."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from playwright.async_api import Page
from pycocotools import mask as coco
from pydantic import SecretStr

from dashboards.gateway import create_app
from dashboards.server import GatewayServer
from streaming.results.reader import ResultReader
from streaming.results.writer import ResultWriter
from streaming.settings import Settings
from streaming.vocabulary import (
    Clock,
    FrameResult,
    Latency,
    MaskRle,
    QueryId,
    QueryKind,
    StreamId,
    StreamSpec,
    Track,
    TrackId,
    TrackState,
)
from tests.doubles import MemoryControl

TOKEN = "a-token-for-tests-only"
SIZE = (360, 640)


def circle(x: int, y: int, radius: int, size: tuple[int, int] = SIZE) -> NDArray[np.bool_]:
    rows, columns = np.mgrid[: size[0], : size[1]]
    return np.asarray(np.hypot(columns - x, rows - y) <= radius)


def track(
    number: int,
    mask: NDArray[np.bool_] | None,
    phrase: str = "the red circle",
    state: TrackState = TrackState.ACTIVE,
) -> Track:
    box = rle = None
    if mask is not None:
        rows, columns = np.nonzero(mask)
        box = (float(columns.min()), float(rows.min()), float(columns.max() + 1), float(rows.max() + 1))
        encoded = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
        rle = MaskRle((mask.shape[0], mask.shape[1]), encoded["counts"].decode())
    return Track(TrackId(number), QueryId("q1"), 1, phrase, state, 0.93, box, rle, 0)


@dataclass
class Service:
    """A gateway over Redis with a control in memory."""

    control: MemoryControl
    gateway: GatewayServer
    writer: ResultWriter
    redis_url: SecretStr
    url: str
    "Without a trailing slash."
    index: int = 0
    page: Page | None = None
    "The open page; methods that change the service make it poll at once."

    async def poll_now(self) -> None:
        """Make the open page poll now, as it does when its tab becomes visible."""
        if self.page is not None:
            await self.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")

    async def live_stream(self, name: str, size: tuple[int, int] = SIZE) -> StreamId:
        stream_id = StreamId(name)
        await self.control.add_stream(StreamSpec(stream_id, "rtsp://camera.example/1"))
        self.control.set_live(stream_id, size[1], size[0])
        await self.poll_now()
        return stream_id

    async def query(self, stream_id: StreamId, text: str) -> QueryId:
        status = await self.control.add_query(stream_id, text, QueryKind.REFER)
        await self.poll_now()
        return status.query.query_id

    async def answer(self, query_id: QueryId, text: str, presence: float) -> None:
        self.control.answer(query_id, text, presence)
        await self.poll_now()

    def publish(self, stream_id: StreamId, tracks: Sequence[Track], size: tuple[int, int] = SIZE) -> int:
        self.index += 1
        now_s = time.time()
        self.writer.publish(
            FrameResult(
                stream_id,
                frame_index=self.index,
                pts_s=self.index / 30,
                captured_s=now_s - 0.03,
                clock=Clock.ARRIVAL,
                published_s=now_s,
                width=size[1],
                height=size[0],
                dropped=0,
                latency_s=Latency(0.001, 0.02, 0.03),
                tracks=tuple(tracks),
            )
        )
        return self.index

    async def draw(
        self, page: Page, stream_id: StreamId, tracks: Sequence[Track], size: tuple[int, int] = SIZE
    ) -> None:
        """Publish the tracks repeatedly until the page has drawn them; at most 10 s."""
        first = self.publish(stream_id, tracks, size)
        async with asyncio.timeout(10):
            while int(await page.get_attribute("#overlay", "data-frame") or 0) < first:
                self.publish(stream_id, tracks, size)
                await asyncio.sleep(0.05)


@asynccontextmanager
async def serving(
    control: MemoryControl, redis_url: SecretStr, state_dir: Path, settings: Settings | None = None
) -> AsyncIterator[Service]:
    """Serve the page; stop on exit."""
    reader = ResultReader(redis_url)
    writer = ResultWriter(redis_url, frames_maxlen=100, notes_maxlen=500)
    settings = settings or Settings(
        port=0, state_dir=state_dir, examples=["the red circle", "the blue square"]
    )
    app = create_app(control, reader, settings, SecretStr(TOKEN))
    gateway = GatewayServer(app, settings.host, settings.port)
    try:
        yield Service(control, gateway, writer, redis_url, await gateway.start())
    finally:
        await gateway.stop()
        writer.close()
        await reader.close()


async def until(condition: Callable[[], bool], timeout_s: float = 15.0) -> None:
    """Wait until a condition holds. Raises TimeoutError."""
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.02)


async def pixel(page: Page, x_px: float, y_px: float) -> list[int]:
    """Return the RGBA of the overlay at a position in CSS pixels of its canvas."""
    script = """([x, y]) => {
      const canvas = document.getElementById("overlay");
      const place = [x * devicePixelRatio, y * devicePixelRatio].map(Math.round);
      return [...canvas.getContext("2d").getImageData(...place, 1, 1).data];
    }"""
    found = await page.evaluate(script, [x_px, y_px])
    return [int(value) for value in found]
