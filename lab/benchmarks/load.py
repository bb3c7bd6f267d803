"""`saccade bench load`: a load test with many queries on many streams, beside one query on one stream.

Cameras on this machine play the demo's scene. First one camera with one query, which is edited again and
again; then all cameras with all queries, which are edited at the same time; then the last camera is stopped,
and the queries of the others are edited once more. All queries are about objects that are always visible.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from actors.service import Service
from engines.grounding.checkpoint_folder import NANO_DIR
from lab.benchmarks.line import PAUSE_S, WARM_UP_S, most_visible
from lab.benchmarks.load_queries import LoadRow, QueryLoad
from lab.benchmarks.process_usage import resident_bytes
from lab.demo.ground_truth import load_ground_truth
from lab.demo.render_clip import render_clip
from lab.fixtures.isolated_service import recorded_stream, run_isolated_service
from lab.fixtures.rtsp_camera import play_over_rtsp, require_go2rtc
from streaming.settings import Settings
from streaming.vocabulary import StreamId, StreamSpec

ALWAYS_VISIBLE: Final = 3
"Objects of the scene that never leave it."


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """The load."""

    streams: int
    queries: int
    "Of all streams together."
    fps: int
    "Of every camera."
    rounds: int
    "Edits of every query after its first answer."
    seconds: float
    "Of tracking after every round."
    patience_s: float
    "A revision without a mask by then counts as unanswered."


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What `bench_load` measured."""

    model: str
    source_fps: int
    machine_cores: int
    weights_bytes: int | None
    "Size of the model's weight files; None where they are on a hub."
    grounder_loaded_bytes: int
    "Resident memory of the grounder's process before its first keyframe, mapped files included."
    grounder_answered_bytes: int
    "The same after the last answer."
    rows: tuple[LoadRow, ...]
    prompt_to_mask_ratio: float | None
    "p95 of all queries at once over p95 of a single query."
    rate_ratio: float | None
    "Frame rate of the slowest of all streams, over that of a single stream between its answers."


async def bench_load(settings: Settings, options: LoadOptions, report: Callable[[str], None]) -> LoadReport:
    """Measure a service with these settings; `report` is called with each step's description.

    Raises ServiceUnavailable where go2rtc is missing, LimitReached where `settings` allow fewer streams or
    queries, and what `running_service` raises.
    """
    binary = require_go2rtc()
    with tempfile.TemporaryDirectory(prefix="saccade-bench-") as folder, ExitStack() as stack:
        clip, truth = Path(folder) / "scene.mp4", Path(folder) / "truth.json.gz"
        report(f"Drawing the scene at {options.fps} fps ...")
        await asyncio.to_thread(render_clip, clip, truth, fps=options.fps)
        cameras = [_StoppableCamera(clip, options.fps, binary, stack) for _ in range(options.streams)]
        report("Starting Redis, Ray, the models and the gateway ...")
        async with run_isolated_service(settings, Path(folder)) as service:
            loaded = resident_bytes().get("grounder", 0)
            texts = most_visible(load_ground_truth(truth))[:ALWAYS_VISIBLE]
            rows = await _LoadTest(service, cameras, texts, options, report).measure()
            answered = resident_bytes().get("grounder", 0)
    return LoadReport(
        model=settings.model,
        source_fps=options.fps,
        machine_cores=len(os.sched_getaffinity(0)),
        weights_bytes=weights_bytes(settings.model),
        grounder_loaded_bytes=loaded,
        grounder_answered_bytes=answered,
        rows=tuple(rows),
        prompt_to_mask_ratio=prompt_to_mask_ratio(rows),
        rate_ratio=rate_ratio(rows),
    )


def weights_bytes(model: str) -> int | None:
    """Return the size of a model's weight files; None where it is not a folder on this machine."""
    folder = NANO_DIR if model == "nano" else Path(model)
    return sum(path.stat().st_size for path in folder.glob("*.safetensors")) or None


def prompt_to_mask_ratio(rows: Sequence[LoadRow]) -> float | None:
    """Return p95 of the second row over that of the first; None where either has none."""
    p95s_s = [row.prompt_to_mask_p95_s for row in rows[:2]]
    if len(p95s_s) < 2 or p95s_s[0] is None or p95s_s[1] is None:
        return None
    return p95s_s[1] / p95s_s[0]


def rate_ratio(rows: Sequence[LoadRow]) -> float | None:
    """Return the slowest stream's frame rate of the second row over the first row's between its answers."""
    if len(rows) < 2 or not rows[0].streams[0].following.fps:
        return None
    return min(stream.fps for stream in rows[1].streams) / rows[0].streams[0].following.fps


class _StoppableCamera:
    """A camera that plays until it is stopped, or until the stack is closed."""

    def __init__(self, clip: Path, fps: int, binary: Path, stack: ExitStack) -> None:
        self._playing = stack.enter_context(ExitStack())
        self.url = self._playing.enter_context(play_over_rtsp(clip, fps, binary)).url

    def stop(self) -> None:
        self._playing.close()


@dataclass(frozen=True, slots=True)
class _LoadTest:
    """The three measurements on a running service."""

    service: Service
    cameras: Sequence[_StoppableCamera]
    texts: Sequence[str]
    options: LoadOptions
    report: Callable[[str], None]

    async def measure(self) -> list[LoadRow]:
        streams, queries = self.options.streams, self.options.queries
        self.report("One stream with one query ...")
        rows = [await self._single()]
        if self.options.rounds and (streams, queries) != (1, 1):
            self.report(f"{streams} streams with {queries} queries ...")
            rows += await self._all()
        return rows

    async def _single(self) -> LoadRow:
        """The first answer counts too: with rounds=0, for slow models, it is the only one."""
        async with self._streams("alone", 1) as load:
            await load.add_queries(1)
            await asyncio.sleep(self.options.seconds)
            # As many revisions one after another as all queries have at once, so that quantiles compare.
            return await self._row("one alone", load, self.options.queries)

    async def _all(self) -> list[LoadRow]:
        async with self._streams("load", len(self.cameras)) as load:
            await load.add_queries(self.options.queries)
            await asyncio.sleep(WARM_UP_S)
            load.start_measuring()
            rows = [await self._row("all at once", load, 1)]
            if len(self.cameras) > 1:
                self.report("The last camera is stopped ...")
                await asyncio.to_thread(self.cameras[-1].stop)
                load.remove_stream(_stream_id("load", len(self.cameras) - 1))
                load.start_measuring()
                rows.append(await self._row("a camera gone", load, 1))
        return rows

    async def _row(self, name: str, load: QueryLoad, edits: int) -> LoadRow:
        """In each round edit all queries `edits` times, then track for `options.seconds`."""
        for _ in range(self.options.rounds):
            for _ in range(edits):
                await asyncio.sleep(PAUSE_S)
                await load.edit_queries()
            await asyncio.sleep(self.options.seconds)
        return load.row(name)

    @asynccontextmanager
    async def _streams(self, name: str, streams: int) -> AsyncIterator[QueryLoad]:
        async with AsyncExitStack() as stack:
            recorders = {}
            for number, camera in enumerate(self.cameras[:streams]):
                spec = StreamSpec(_stream_id(name, number), camera.url)
                recorders[spec.stream_id] = await stack.enter_async_context(
                    recorded_stream(self.service, spec)
                )
            yield QueryLoad(self.service.supervisor, recorders, self.texts, self.options.patience_s)


def _stream_id(name: str, number: int) -> StreamId:
    return StreamId(f"{name}-{number + 1}")
