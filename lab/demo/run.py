"""`saccade demo`: run the service on a clip or on a source of one's own, and score what it publishes."""

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
from typing import Final, NoReturn

from rich.console import Console

from actors.service import Service, running_service
from lab.demo.ground_truth import UNKNOWN, GroundTruth
from lab.demo.scenes import DemoScene, SceneName, load_scene
from lab.demo.scorer import DemoScore, DemoScorer
from lab.fixtures.published_results import read_results
from lab.fixtures.rtsp_camera import ClipCamera, play_over_rtsp
from lab.fixtures.rtsp_server import find_go2rtc
from streaming.errors import ServiceUnavailable
from streaming.events import AnswerReport
from streaming.settings import Settings
from streaming.vocabulary import FrameResult, QueryId, QueryKind, StreamId, StreamSpec

STREAM: Final = StreamId("demo")
OFFSET_WITHIN_S: Final = 2.0
"The smallest frame offset within this time of the first result is taken as the camera's."
OWN_PHRASES: Final = ("the person", "the person on the left", "all cars", "the bag")
"Offered for a source of one's own."
EDIT_EVERY_S: Final = 4.0
"An answer takes a fraction of a second; the rest of the time shows tracking."


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """Options of the command."""

    query: str | None
    "The first expression; None takes the clip's first phrase."
    duration_s: float | None
    "None runs until the task is cancelled."
    browser: bool
    scene: SceneName = SceneName.DRAWN
    source: str | None = None
    "A source to play instead of a scene, see docs/sources.md; nothing is scored."


@dataclass(frozen=True, slots=True)
class _Played:
    """What the demo plays, and what is known of it."""

    camera: ClipCamera
    truth: GroundTruth
    phrases: tuple[str, ...]
    "Offered on the page; the first is asked for."
    folder: Path | None
    "Of the clip."


async def run_demo(settings: Settings, options: DemoOptions, console: Console) -> DemoScore:
    """Run the service on the clip and return its score; a cancelled run returns the score so far.

    Starts its own Redis, so that other services' streams and results are not touched. Raises what
    `running_service` raises.
    """
    with tempfile.TemporaryDirectory(prefix="saccade-demo-") as folder, _play(options, console) as played:
        scorer = DemoScorer(played.truth)
        first = (options.query,) if options.query else ()
        texts = list(dict.fromkeys((*first, *played.phrases)))
        console.print("Starting Redis, Ray, the models and the gateway ...")
        with suppress(asyncio.CancelledError):
            running = running_service(_demo_settings(settings, played), Path(folder))
            pending = _PendingResults(played.camera, scorer)
            async with running as service, read_results(service.redis_url, STREAM, pending.add):
                await _add_stream(service, played.camera, options, console)
                await _ask(_Queries(service, scorer, console), texts, options.duration_s)
    return scorer.score()


def _demo_settings(settings: Settings, played: _Played) -> Settings:
    folders = [played.folder] if played.folder else []
    return settings.model_copy(
        update={
            "allowed_hosts": [*settings.allowed_hosts, "127.0.0.1/32"],
            "media_dirs": [*settings.media_dirs, *folders],
            "results_maxlen": 100_000,
            "redis_url": None,
            "warm_spares": [],
            "examples": list(played.phrases),
        }
    )


@contextmanager
def _play(options: DemoOptions, console: Console) -> Iterator[_Played]:
    """Play a scene as a camera, or take the source of one's own."""
    if options.source is not None:
        file = Path(options.source).expanduser()
        folder = file.resolve().parent if file.is_file() else None
        url = options.source if folder is None else str(file.resolve())
        yield _Played(ClipCamera(url, 0.0, None), UNKNOWN, OWN_PHRASES, folder)
        return
    scene = _load_scene(options.scene, console)
    with _camera(scene.clip, scene.truth.fps, console) as camera:
        yield _Played(camera, scene.truth, tuple(scene.truth.phrases), scene.clip.parent.resolve())


def _load_scene(name: SceneName, console: Console) -> DemoScene:
    """Load a scene, or the drawn one where footage cannot be downloaded."""
    try:
        return load_scene(name)
    except ServiceUnavailable as exc:
        console.print(f"{exc.message} The drawn clip is played instead.")
        return load_scene(SceneName.DRAWN)


@contextmanager
def _camera(clip: Path, fps: float, console: Console) -> Iterator[ClipCamera]:
    """Play the clip over RTSP where go2rtc is installed; else use the file as the source."""
    binary = find_go2rtc(Path.cwd())
    if binary is None:
        console.print("No RTSP server is installed (see `make rtsp-server`): the clip is played directly.")
        yield ClipCamera(str(clip.resolve()), fps, None)
        return
    with play_over_rtsp(clip, fps, binary) as camera:
        console.print(f"The clip is played at {camera.url}, in real time, in a loop.")
        yield camera


async def _add_stream(service: Service, camera: ClipCamera, options: DemoOptions, console: Console) -> None:
    await service.supervisor.add_stream(StreamSpec(STREAM, camera.url))
    # The page's address holds the token, which belongs on a terminal and in no log.
    page = service.page_url if console.is_terminal else service.url
    console.print(f"Page  {page}", soft_wrap=True, markup=False)
    if options.browser:
        await asyncio.to_thread(webbrowser.open, service.page_url)


async def _ask(queries: _Queries, texts: Sequence[str], duration_s: float | None) -> None:
    """Ask the first text. With a duration, edit the query every `EDIT_EVERY_S` until the time is over."""
    with suppress(TimeoutError):
        async with asyncio.timeout(duration_s):
            query_id = await queries.add(texts)
            if duration_s is None:
                await asyncio.Event().wait()
            await queries.edit_forever(query_id, texts)


@dataclass(frozen=True, slots=True)
class _Queries:
    """Adds and edits the demo's query, and reports it to the scorer and on the console."""

    service: Service
    scorer: DemoScorer
    console: Console

    async def add(self, texts: Sequence[str]) -> QueryId:
        first, *others = texts
        status = await self.service.supervisor.add_query(STREAM, first, QueryKind.REFER)
        self.scorer.add_query(status.query)
        examples = ", ".join(f"“{text}”" for text in others)
        self.console.print(f"Following “{first}”. Type other words on the page, such as {examples}.")
        self.console.print("Ctrl-C stops.")
        return status.query.query_id

    async def edit_forever(self, query_id: QueryId, texts: Sequence[str]) -> NoReturn:
        following = itertools.cycle((*texts[1:], texts[0]))
        while True:
            await asyncio.sleep(EDIT_EVERY_S)
            status = await self.service.supervisor.edit_query(query_id, next(following))
            self.scorer.add_query(status.query)
            self.console.print(f"Now “{status.query.text}”.")


class _PendingResults:
    """Holds the first results back until the camera's frame offset is known, then scores all in order."""

    def __init__(self, camera: ClipCamera, scorer: DemoScorer) -> None:
        self._camera = camera
        self._scorer = scorer
        self._offset: int | None = None
        self._pending: list[FrameResult] = []
        self._known_s: float | None = None
        "Monotonic time from which on the offset is taken as known."

    def add(self, entry: FrameResult | AnswerReport) -> None:
        """Take an entry. Made for `read_results`."""
        if isinstance(entry, AnswerReport):
            self._scorer.add_answer(entry)
            return
        offset = self._camera.frame_offset(entry)
        if self._offset is None or (offset is not None and offset < self._offset):
            self._offset = offset
        self._pending.append(entry)
        self._known_s = self._known_s or time.monotonic() + OFFSET_WITHIN_S
        if time.monotonic() >= self._known_s:
            for result in self._pending:
                self._scorer.add_result(result, self._camera.clip_frame(result, self._offset))
            self._pending.clear()
