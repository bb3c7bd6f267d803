"""`saccade demo`: the whole service on the bundled clip, and a judge who reads what it publishes."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
import time
import webbrowser
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from rich.console import Console

from actors.service import Service, running_service
from lab.demo.judge import Judge, Verdict
from lab.demo.scene import CLIP, load_truth
from lab.evaluation.published_results import reading
from lab.fixtures.rtsp_camera import Camera, on_air
from lab.fixtures.rtsp_server import find_go2rtc
from streaming.events import AnswerReport
from streaming.settings import Settings
from streaming.vocabulary import FrameResult, QueryId, QueryKind, StreamId, StreamSpec

STREAM = StreamId("demo")

SETTLING_S = 2.0
"Of the first results, the least late picture tells where the clip was."

STEP_S = 4.0
"Time for each: an answer takes a fraction of a second, the rest is for tracking."


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What the user asked for."""

    query: str | None
    "What to follow first; None leaves it to the scene."
    duration_s: float | None
    browser: bool


async def run_demo(settings: Settings, options: DemoOptions, console: Console) -> Verdict:
    """Start everything, ask, judge, stop everything; cancelled, it returns the verdict so far.

    Always on a Redis of its own, for its stream and results are nobody else's. Raises what `running_service`
    raises.
    """
    truth = load_truth()
    judge = Judge(truth)
    tour = list(dict.fromkeys([options.query, *truth.phrases] if options.query else truth.phrases))
    with tempfile.TemporaryDirectory(prefix="saccade-demo-") as folder, _camera(truth.fps, console) as camera:
        demo_settings = settings.model_copy(
            update={
                "allowed_hosts": [*settings.allowed_hosts, "127.0.0.1/32"],
                "media_dirs": [*settings.media_dirs, CLIP.parent],
                "results_maxlen": 100_000,
                "redis_url": None,
                "examples": list(truth.phrases),
            }
        )
        console.print("Starting Redis, Ray, the models and the gateway ...")
        with suppress(asyncio.CancelledError):
            running = running_service(demo_settings, Path(folder))
            docket = _Docket(camera, judge)
            async with running as service, reading(service.redis_url, STREAM, docket.take):
                await _show(service, camera, options, console)
                await _follow(_Guide(service, judge, console), tour, options.duration_s)
    return judge.verdict()


@contextmanager
def _camera(fps: float, console: Console) -> Iterator[Camera]:
    binary = find_go2rtc(Path.cwd())
    if binary is None:
        console.print("No RTSP server is installed (see `make rtsp-server`): the clip is played directly.")
        yield Camera(str(CLIP), fps, None)
        return
    with on_air(CLIP, fps, binary) as camera:
        console.print(f"The clip is on air at {camera.url}, in real time, for ever.")
        yield camera


async def _show(service: Service, camera: Camera, options: DemoOptions, console: Console) -> None:
    await service.supervisor.add_stream(StreamSpec(STREAM, camera.url))
    console.print(f"Page  {service.page_url}", soft_wrap=True)
    if options.browser:
        await asyncio.to_thread(webbrowser.open, service.page_url)


async def _follow(guide: _Guide, tour: Sequence[str], duration_s: float | None) -> None:
    """Ask, then let it run, for `duration_s` in all or until somebody stops it."""
    with suppress(TimeoutError):
        async with asyncio.timeout(duration_s):
            query_id = await guide.begin(tour)
            if duration_s is None:
                await asyncio.Event().wait()
            await guide.go_round(query_id, tour)


@dataclass(frozen=True, slots=True)
class _Guide:
    """Asks for visitors, and tells the judge and them."""

    service: Service
    judge: Judge
    console: Console

    async def begin(self, tour: Sequence[str]) -> QueryId:
        """Ask for the first; the others are theirs to try."""
        first, *others = tour
        status = await self.service.supervisor.add_query(STREAM, first, QueryKind.REFER)
        self.judge.ask(status.query)
        offers = ", ".join(f"“{text}”" for text in others)
        self.console.print(f"Following “{first}”. Type other words on the page, such as {offers}.")
        self.console.print("Ctrl-C stops.")
        return status.query.query_id

    async def go_round(self, query_id: QueryId, tour: Sequence[str]) -> NoReturn:
        """Change the words every few seconds, for ever."""
        rest = itertools.cycle((*tour[1:], tour[0]))
        while True:
            await asyncio.sleep(STEP_S)
            status = await self.service.supervisor.edit_query(query_id, next(rest))
            self.judge.ask(status.query)
            self.console.print(f"Now “{status.query.text}”.")


class _Docket:
    """Where results wait until it is sure which picture of the clip each is about, before they are judged."""

    def __init__(self, camera: Camera, judge: Judge) -> None:
        self._camera = camera
        self._judge = judge
        self._offset: int | None = None
        self._held: list[FrameResult] = []
        self._settled_s: float | None = None

    def take(self, said: FrameResult | AnswerReport) -> None:
        """For `reading`."""
        if isinstance(said, AnswerReport):
            self._judge.hear(said)
            return
        seen = self._camera.offset_of(said)
        if self._offset is None or (seen is not None and seen < self._offset):
            self._offset = seen
        self._held.append(said)
        self._settled_s = self._settled_s or time.monotonic() + SETTLING_S
        if time.monotonic() >= self._settled_s:
            for result in self._held:
                self._judge.see(result, self._camera.clip_frame(result, self._offset))
            self._held.clear()
