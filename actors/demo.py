"""`saccade demo`: the whole service on the bundled clip, and a judge who reads what it publishes."""

from __future__ import annotations

import asyncio
import tempfile
import time
import webbrowser
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from actors.demo_scene import CLIP, load_truth
from actors.judge import Judge, Verdict
from actors.service import Service, running_service
from streaming import wire
from streaming.errors import StoreUnavailable
from streaming.events import AnswerReport
from streaming.results import Channel, ResultReader
from streaming.settings import Settings
from streaming.sources.rtsp_server import ClipPublisher, RtspServer, find_go2rtc
from streaming.vocabulary import FrameResult, QueryKind, StreamId, StreamSpec

STREAM = StreamId("demo")
TOUR = (
    "the red circle",
    "the yellow star",
    "the blue square",
    "the green triangle",
    "the white star",
    "the red circle",
    "the star",
)
"What a timed demo asks for, one after the other; there is no white star."

STEP_S = 4.0
"Time for each: an answer takes a fraction of a second, the rest is for tracking."


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What the user asked for."""

    query: str
    duration_s: float | None
    browser: bool


@dataclass(frozen=True, slots=True)
class Camera:
    """The clip as a live source, and which picture of it is on at a moment."""

    url: str
    fps: float
    publisher: ClipPublisher | None
    "None where the file itself is the source: then the frame index is the picture."

    def clip_frame(self, result: FrameResult, offset: int | None) -> int:
        """Picture of the clip, counted through all its rounds."""
        if self.publisher is None or offset is None:
            return result.frame_index
        return round(result.pts_s * self.fps) + offset

    def offset_of(self, result: FrameResult) -> int | None:
        """Picture on at capture, less the picture by the stream's own time line.

        A picture arrives after it was published, within a frame period at best: the smallest difference seen
        is the true one.
        """
        if self.publisher is None or self.publisher.first_frame_s is None:
            return None
        on_air = int((result.captured_s - self.publisher.first_frame_s) * self.fps)
        return on_air - round(result.pts_s * self.fps)


async def run_demo(settings: Settings, options: DemoOptions, console: Console) -> Verdict:
    """Start everything, ask, judge, stop everything; cancelled, it returns the verdict so far.

    Always on a Redis of its own, for its stream and results are nobody else's. Raises what `running_service`
    raises.
    """
    truth = load_truth()
    judge = Judge(truth)
    with tempfile.TemporaryDirectory(prefix="saccade-demo-") as folder, _camera(truth.fps, console) as camera:
        demo_settings = settings.model_copy(
            update={
                "allowed_hosts": [*settings.allowed_hosts, "127.0.0.1/32"],
                "media_dirs": [*settings.media_dirs, CLIP.parent],
                "results_maxlen": 100_000,
                "redis_url": None,
            }
        )
        console.print("Starting Redis, Ray, the models and the gateway ...")
        with suppress(asyncio.CancelledError):
            running = running_service(demo_settings, Path(folder))
            async with running as service, _judging(service, camera, judge):
                await _show(service, camera, options, console)
                await _follow(service, options, judge, console)
    return judge.verdict()


@contextmanager
def _camera(fps: float, console: Console) -> Iterator[Camera]:
    binary = find_go2rtc(Path.cwd())
    if binary is None:
        console.print("No RTSP server is installed (see `make rtsp-server`): the clip is played directly.")
        yield Camera(str(CLIP), fps, None)
        return
    publisher = ClipPublisher(CLIP)
    publisher.start()
    try:
        with RtspServer(binary, publisher.port) as server:
            console.print(f"The clip is on air at {server.url}, in real time, for ever.")
            yield Camera(server.url, fps, publisher)
    finally:
        publisher.stop()


async def _show(service: Service, camera: Camera, options: DemoOptions, console: Console) -> None:
    await service.supervisor.add_stream(StreamSpec(STREAM, camera.url))
    console.print(f"Page  {service.page_url}", soft_wrap=True)
    if options.browser:
        await asyncio.to_thread(webbrowser.open, service.page_url)


async def _follow(service: Service, options: DemoOptions, judge: Judge, console: Console) -> None:
    """Ask, then let it run, for `duration_s` in all or until somebody stops it."""
    with suppress(TimeoutError):
        async with asyncio.timeout(options.duration_s):
            await _ask(service, options, judge, console)
            await asyncio.Event().wait()


async def _ask(service: Service, options: DemoOptions, judge: Judge, console: Console) -> None:
    """One query; with a duration, its words change every few seconds."""
    status = await service.supervisor.add_query(STREAM, options.query, QueryKind.REFER)
    judge.ask(status.query)
    console.print(f"Following “{options.query}”. Type other words on the page; Ctrl-C stops.")
    if options.duration_s is None:
        return
    for text in [text for text in TOUR if text != options.query]:
        await asyncio.sleep(STEP_S)
        status = await service.supervisor.edit_query(status.query.query_id, text)
        judge.ask(status.query)
        console.print(f"Now “{text}”.")


@asynccontextmanager
async def _judging(service: Service, camera: Camera, judge: Judge) -> AsyncIterator[None]:
    """Read back every result from Redis while the demo runs, as any other consumer would."""
    reader = ResultReader(service.redis_url)
    task = asyncio.create_task(_judge(reader, camera, judge))
    try:
        yield
        await asyncio.sleep(0.2)
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await reader.close()


async def _judge(reader: ResultReader, camera: Camera, judge: Judge) -> None:
    tail = reader.tail(STREAM, [Channel.FRAMES, Channel.ANSWERS])
    offset: int | None = None
    held: list[FrameResult] = []
    settled_s = time.monotonic() + 2.0
    while True:
        try:
            entries = await tail.read()
        except StoreUnavailable:
            await asyncio.sleep(0.1)
            continue
        for entry in entries:
            if entry.channel is Channel.ANSWERS:
                judge.hear(wire.decode(AnswerReport, entry.data))
                continue
            result = wire.decode(FrameResult, entry.data)
            seen = camera.offset_of(result)
            offset = seen if offset is None or (seen is not None and seen < offset) else offset
            held.append(result)
        # The first results wait until the offset has had time to settle.
        if time.monotonic() >= settled_s:
            for result in held:
                judge.see(result, camera.clip_frame(result, offset))
            held.clear()
