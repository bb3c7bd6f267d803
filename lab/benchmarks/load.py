"""`saccade bench load`: many words on many streams at once, beside one query on one stream.

Cameras on this machine play the demo's scene. First one of them alone, with one query that gets new words
again and again; then all of them, with all queries, which get new words in one moment; then the last camera
is taken off air and the others' queries get new words once more. Words are about what is always in sight.
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
from lab.benchmarks.cpu_usage import resident
from lab.benchmarks.isolated_service import service_apart, watched_stream
from lab.benchmarks.line import PAUSE_S, SETTLE_S, most_seen
from lab.benchmarks.load_queries import Crowd, CrowdRow
from lab.demo import scene
from lab.demo.scene import load_truth
from lab.fixtures.rtsp_camera import on_air, require_go2rtc
from streaming.settings import Settings
from streaming.vocabulary import StreamId, StreamSpec

ALWAYS_SEEN: Final = 3
"Things of the scene that never leave it."


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """How much is asked."""

    streams: int
    queries: int
    "Of all streams together."
    fps: int
    "Of every camera."
    rounds: int
    "Of new words for every query, behind its first."
    seconds: float
    "Of following behind every round."
    patience_s: float
    "How long words may take to a mask."


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What `bench_load` measured."""

    model: str
    source_fps: int
    machine_cores: int
    weights_bytes: int | None
    "Of the model's files; None where they are on a hub."
    grounder_loaded_bytes: int
    "Memory of the grounder's process before its first question, pages of the files included."
    grounder_answered_bytes: int
    "The same behind the last answer."
    rows: tuple[CrowdRow, ...]
    prompt_to_mask_ratio: float | None
    "p95 of all queries at once over p95 of one alone."
    rate_ratio: float | None
    "Frame rate of the slowest of all streams, all the time, over that of one alone which only follows."


async def bench_load(settings: Settings, options: LoadOptions, say: Callable[[str], None]) -> LoadReport:
    """Measure the service that `settings` make; `say` hears what goes on.

    Raises ServiceUnavailable where go2rtc is missing, LimitReached where `settings` allow fewer streams or
    queries, and what `running_service` raises.
    """
    binary = require_go2rtc()
    with tempfile.TemporaryDirectory(prefix="saccade-bench-") as folder, ExitStack() as air:
        clip, written = Path(folder) / "scene.mp4", Path(folder) / "truth.json.gz"
        say(f"Drawing the scene at {options.fps} fps ...")
        await asyncio.to_thread(scene.render, clip, written, options.fps)
        cameras = [_Switch(clip, options.fps, binary, air) for _ in range(options.streams)]
        say("Starting Redis, Ray, the models and the gateway ...")
        async with service_apart(settings, Path(folder)) as service:
            loaded = resident().get("grounder", 0)
            words = most_seen(load_truth(written))[:ALWAYS_SEEN]
            rows = await _Load(service, cameras, words, options, say).measure()
            answered = resident().get("grounder", 0)
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
    """Size of a model's files of weights; None where it is no folder of this machine."""
    # Imports torch, which a service's command line does without.
    from engines.grounding.checkpoints import NANO_DIR

    folder = NANO_DIR if model == "nano" else Path(model)
    return sum(path.stat().st_size for path in folder.glob("*.safetensors")) or None


def prompt_to_mask_ratio(rows: Sequence[CrowdRow]) -> float | None:
    """p95 of the second row over that of the first; None where one has none."""
    p95s_s = [row.prompt_to_mask_p95_s for row in rows[:2]]
    if len(p95s_s) < 2 or p95s_s[0] is None or p95s_s[1] is None:
        return None
    return p95s_s[1] / p95s_s[0]


def rate_ratio(rows: Sequence[CrowdRow]) -> float | None:
    """Frame rate of the slowest stream of the second row over that of the first row's when it follows."""
    if len(rows) < 2 or not rows[0].streams[0].following.fps:
        return None
    return min(stream.fps for stream in rows[1].streams) / rows[0].streams[0].following.fps


class _Switch:
    """A camera that can be taken off air; it is on as long as `air` is open."""

    def __init__(self, clip: Path, fps: int, binary: Path, air: ExitStack) -> None:
        self._on = air.enter_context(ExitStack())
        self.url = self._on.enter_context(on_air(clip, fps, binary)).url

    def off(self) -> None:
        self._on.close()


@dataclass(frozen=True, slots=True)
class _Load:
    """A running service and the cameras to load it with."""

    service: Service
    cameras: Sequence[_Switch]
    words: Sequence[str]
    options: LoadOptions
    say: Callable[[str], None]

    async def measure(self) -> list[CrowdRow]:
        streams, queries = self.options.streams, self.options.queries
        self.say("One stream with one query ...")
        rows = [await self._alone()]
        if self.options.rounds and (streams, queries) != (1, 1):
            self.say(f"{streams} streams with {queries} queries ...")
            rows += await self._at_once()
        return rows

    async def _alone(self) -> CrowdRow:
        """Its first words count too: a slow model may not be asked for more."""
        async with self._crowd("alone", 1) as crowd:
            await crowd.gather(1)
            await asyncio.sleep(self.options.seconds)
            # One after the other as many words as all at once: quantiles of as many.
            return await self._row("one alone", crowd, self.options.queries)

    async def _at_once(self) -> list[CrowdRow]:
        async with self._crowd("load", len(self.cameras)) as crowd:
            await crowd.gather(self.options.queries)
            await asyncio.sleep(SETTLE_S)
            crowd.start_measuring()
            rows = [await self._row("all at once", crowd, 1)]
            if len(self.cameras) > 1:
                self.say("The last camera goes off air ...")
                await asyncio.to_thread(self.cameras[-1].off)
                crowd.lose(_stream_id("load", len(self.cameras) - 1))
                crowd.start_measuring()
                rows.append(await self._row("a camera gone", crowd, 1))
        return rows

    async def _row(self, name: str, crowd: Crowd, changes: int) -> CrowdRow:
        """Change the words so many times in each round, and let them be followed behind it."""
        for _ in range(self.options.rounds):
            for _ in range(changes):
                await asyncio.sleep(PAUSE_S)
                await crowd.change_words()
            await asyncio.sleep(self.options.seconds)
        return crowd.row(name)

    @asynccontextmanager
    async def _crowd(self, name: str, streams: int) -> AsyncIterator[Crowd]:
        async with AsyncExitStack() as stack:
            watchings = {}
            for number, camera in enumerate(self.cameras[:streams]):
                spec = StreamSpec(_stream_id(name, number), camera.url)
                watchings[spec.stream_id] = await stack.enter_async_context(
                    watched_stream(self.service, spec)
                )
            yield Crowd(self.service.supervisor, watchings, self.words, self.options.patience_s)


def _stream_id(name: str, number: int) -> StreamId:
    return StreamId(f"{name}-{number + 1}")
