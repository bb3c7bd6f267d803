"""`saccade bench line`: the speed of the whole line, from a 60 fps camera over RTSP to masks read from Redis.

The camera plays the demo's scene, drawn at 60 fps, without decoding or encoding anything; it runs on the
same machine, and so does the reader: what they and everybody else took of the processor is reported.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from actors.service import Service
from lab.benchmarks.cpu_usage import cores_between, look
from lab.benchmarks.isolated_service import service_apart, watched_stream
from lab.benchmarks.rates import Flow, quantile
from lab.demo import scene
from lab.demo.scene import Truth, load_truth
from lab.evaluation.published_results import Watching
from lab.fixtures.rtsp_camera import on_air, require_go2rtc
from streaming.errors import UsageError
from streaming.settings import Settings
from streaming.vocabulary import FrameResult, Query, QueryKind, StreamId, StreamSpec

FPS: Final = 60
SETTLE_S: Final = 2.0
"From the last first mask to the measurement: kernels are compiled, caches are warm."
PATIENCE_S: Final = 5.0
"Words without a mask by then count as unanswered."
PAUSE_S: Final = 0.37
"Between two edits; no fraction of any period of the service."


@dataclass(frozen=True, slots=True)
class LineOptions:
    """How much is measured."""

    objects: tuple[int, ...]
    seconds: float
    "Of tracking, for each number of objects."
    edits: int
    "Of words, for each number of objects."


@dataclass(frozen=True, slots=True)
class LineRow:
    """The line with one number of objects."""

    objects: int
    "Queries, each for a thing of its own."
    followed: float
    "Share of the queries that have a mask, over all results; below 1 something was out of sight or lost."
    tracks: float
    "Mean number of tracks with a mask; above `objects` where one was begun anew before the old one ended."
    tracked_fps: float
    frame_age_p50_s: float | None
    "From the arrival of a picture's packet to its result's publication."
    frame_age_p95_s: float | None
    read_age_p95_s: float | None
    "The same until a consumer has read the result from Redis."
    dropped: int
    results: int
    "Read back from Redis."
    decode_p50_s: float | None
    "Of that age: decoder and conversion to RGB."
    track_p50_s: float | None
    "Of that age: from the frame's start in the tracker to its masks' run lengths."
    prompt_to_mask_p50_s: float | None
    "From the acceptance of new or edited words to their first mask on a current frame."
    prompt_to_mask_p95_s: float | None
    prompts: int
    prompts_answered: int
    cores: dict[str, float]
    "Mean number of cores that each part kept busy meanwhile, other programs last."


@dataclass(frozen=True, slots=True)
class LineReport:
    """What `bench_line` measured."""

    source: str
    source_fps: int
    width: int
    height: int
    machine_cores: int
    rows: tuple[LineRow, ...]


async def bench_line(settings: Settings, options: LineOptions, say: Callable[[str], None]) -> LineReport:
    """Measure the service that `settings` make; `say` hears what goes on.

    Raises ServiceUnavailable where go2rtc is missing, UsageError where the scene has too few things, and
    what `running_service` raises.
    """
    binary = require_go2rtc()
    with tempfile.TemporaryDirectory(prefix="saccade-bench-") as folder:
        clip, written = Path(folder) / "scene.mp4", Path(folder) / "truth.json.gz"
        say(f"Drawing the scene at {FPS} fps ...")
        await asyncio.to_thread(scene.render, clip, written, FPS)
        things = most_seen(load_truth(written))
        if max(options.objects) > len(things):
            raise UsageError(f"The scene has {len(things)} things.", remedy="Ask for fewer --objects.")
        with on_air(clip, FPS, binary) as camera:
            say("Starting Redis, Ray, the models and the gateway ...")
            async with service_apart(settings, Path(folder)) as service:
                rows = []
                for objects in options.objects:
                    say(f"Following {objects} for {options.seconds:g} s, then {options.edits} edits ...")
                    spec = StreamSpec(StreamId(f"line-{objects}"), camera.url)
                    async with watched_stream(service, spec) as watching:
                        line = _Line(service, spec.stream_id, watching, things)
                        rows.append(await line.measure(objects, options))
    height, width = scene.SIZE
    source = "go2rtc on this machine, packets copied"
    return LineReport(source, FPS, width, height, len(os.sched_getaffinity(0)), tuple(rows))


def most_seen(truth: Truth, step: int = 10) -> list[str]:
    """Names of the scene's things, those first that are seen on most of its frames (one in `step` counts)."""

    def seen(name: str) -> int:
        return sum(bool(truth.mask_of(name, frame).any()) for frame in range(0, len(truth.masks), step))

    return sorted((f"the {thing}" for thing in truth.things), key=lambda name: -seen(name))


class _Line:
    """One stream under measurement."""

    def __init__(
        self, service: Service, stream_id: StreamId, watching: Watching, things: Sequence[str]
    ) -> None:
        self._supervisor = service.supervisor
        self._stream_id = stream_id
        self._watching = watching
        self._things = things
        self._waits_s: list[float | None] = []

    async def measure(self, objects: int, options: LineOptions) -> LineRow:
        """Follow so many things for a while, then change the words about the first again and again."""
        queries = [await self._add(name) for name in self._things[:objects]]
        await asyncio.sleep(SETTLE_S)
        before, first = look(), len(self._watching.results)
        await asyncio.sleep(options.seconds)
        cores, measured = cores_between(before, look()), slice(first, len(self._watching.results))
        for turn in range(options.edits):
            # The first and the second thing in turn; the third and further ones stay as they are.
            await asyncio.sleep(PAUSE_S)
            await self._edit(queries[0], self._things[(turn + 1) % 2])
        results, read_s = self._watching.results[measured], self._watching.read_s[measured]
        return _row(objects, list(zip(results, read_s, strict=True)), self._waits_s, cores)

    async def _add(self, text: str) -> Query:
        since = len(self._watching.results)
        status = await self._supervisor.add_query(self._stream_id, text, QueryKind.REFER)
        await self._wait(status.query, since)
        return status.query

    async def _edit(self, query: Query, text: str) -> None:
        since = len(self._watching.results)
        status = await self._supervisor.edit_query(query.query_id, text)
        await self._wait(status.query, since)

    async def _wait(self, query: Query, since: int) -> None:
        """For the first mask of these very words."""
        found = await self._watching.first(lambda result: shows(result, query), since, PATIENCE_S)
        self._waits_s.append(found.published_s - query.accepted_s if found else None)


def shows(result: FrameResult, query: Query) -> bool:
    """Whether a result has a mask for this revision of a query."""
    return any(
        (track.query_id, track.revision) == (query.query_id, query.revision) and track.mask is not None
        for track in result.tracks
    )


def _row(
    objects: int,
    read: Sequence[tuple[FrameResult, float]],
    waits_s: Sequence[float | None],
    cores: dict[str, float],
) -> LineRow:
    """The figures of results, each with the moment at which it was read."""
    flow = Flow()
    for result, _ in read:
        flow.see(result)
    masked = [[track.query_id for track in result.tracks if track.mask is not None] for result, _ in read]
    answered_s = [wait_s for wait_s in waits_s if wait_s is not None]
    return LineRow(
        objects=objects,
        followed=_mean([len(set(queries)) / objects for queries in masked]),
        tracks=_mean([len(queries) for queries in masked]),
        tracked_fps=flow.fps,
        frame_age_p50_s=flow.age_s(0.5),
        frame_age_p95_s=flow.age_s(0.95),
        read_age_p95_s=quantile([at_s - result.captured_s for result, at_s in read], 0.95),
        dropped=flow.dropped,
        results=flow.results,
        decode_p50_s=quantile([result.latency_s.decode for result, _ in read], 0.5),
        track_p50_s=quantile([result.latency_s.track for result, _ in read], 0.5),
        prompt_to_mask_p50_s=quantile(answered_s, 0.5),
        prompt_to_mask_p95_s=quantile(answered_s, 0.95),
        prompts=len(waits_s),
        prompts_answered=len(answered_s),
        cores=cores,
    )


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else 0.0
