"""`saccade bench line`: speed of the whole service, from a 60 fps RTSP camera to masks read from Redis.

The camera plays the demo's scene, drawn at 60 fps, by copying packets. Camera and reader run on the same
machine; the report has their CPU use too.
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
from lab.benchmarks.process_usage import cores_between, read_usage
from lab.benchmarks.rates import ResultRates, quantile
from lab.demo.ground_truth import GroundTruth, load_ground_truth
from lab.demo.render_clip import SIZE, render_clip
from lab.fixtures.isolated_service import recorded_stream, run_isolated_service
from lab.fixtures.published_results import ResultRecorder
from lab.fixtures.rtsp_camera import play_over_rtsp, require_go2rtc
from streaming.errors import UsageError
from streaming.settings import Settings
from streaming.vocabulary import FrameResult, Query, QueryKind, StreamId, StreamSpec

FPS: Final = 60
WARM_UP_S: Final = 2.0
"From the last query's first mask to the measurement: kernels are compiled and caches filled."
TIMEOUT_S: Final = 5.0
"A revision without a mask by then counts as unanswered."
PAUSE_S: Final = 0.37
"Between two edits; not a multiple of any period of the service."


@dataclass(frozen=True, slots=True)
class LineOptions:
    """How much is measured."""

    objects: tuple[int, ...]
    seconds: float
    "Of tracking, for each number of objects."
    edits: int
    "Of a query's text, for each number of objects."


@dataclass(frozen=True, slots=True)
class LineRow:
    """Figures with one number of objects."""

    objects: int
    "Queries, each about another object."
    followed: float
    "Share of the queries that have a mask, over all results; below 1 where objects were not visible or lost."
    tracks: float
    "Mean number of tracks with a mask; above `objects` where a new track overlaps with its predecessor."
    tracked_fps: float
    frame_age_p50_s: float | None
    "From the arrival of a frame's packet until Redis holds its result."
    frame_age_p95_s: float | None
    read_age_p95_s: float | None
    "From the arrival of a frame's packet until a consumer has read its result from Redis."
    dropped: int
    results: int
    "Read back from Redis."
    decode_p50_s: float | None
    "Part of the frame age: decoder and conversion to RGB."
    track_p50_s: float | None
    "Part of the frame age: the tracker, masks' run lengths included."
    prompt_to_mask_p50_s: float | None
    "From the acceptance of a query or an edit to its first mask on a current frame."
    prompt_to_mask_p95_s: float | None
    prompts: int
    prompts_answered: int
    cores: dict[str, float]
    "Mean number of busy cores by role, other programs last."


@dataclass(frozen=True, slots=True)
class LineReport:
    """What `bench_line` measured."""

    source: str
    source_fps: int
    width: int
    height: int
    machine_cores: int
    rows: tuple[LineRow, ...]


async def bench_line(settings: Settings, options: LineOptions, report: Callable[[str], None]) -> LineReport:
    """Measure a service with these settings; `report` is called with each step's description.

    Raises ServiceUnavailable where go2rtc is missing, UsageError where the scene has too few objects, and
    what `running_service` raises.
    """
    binary = require_go2rtc()
    with tempfile.TemporaryDirectory(prefix="saccade-bench-") as folder:
        clip, truth = Path(folder) / "scene.mp4", Path(folder) / "truth.json.gz"
        report(f"Drawing the scene at {FPS} fps ...")
        await asyncio.to_thread(render_clip, clip, truth, fps=FPS)
        texts = most_visible(load_ground_truth(truth))
        if max(options.objects) > len(texts):
            raise UsageError(f"The scene has {len(texts)} objects.", remedy="Ask for fewer --objects.")
        with play_over_rtsp(clip, FPS, binary) as camera:
            report("Starting Redis, Ray, the models and the gateway ...")
            async with run_isolated_service(settings, Path(folder)) as service:
                rows = []
                for objects in options.objects:
                    report(f"Following {objects} for {options.seconds:g} s, then {options.edits} edits ...")
                    spec = StreamSpec(StreamId(f"line-{objects}"), camera.url)
                    async with recorded_stream(service, spec) as recorder:
                        stream = _MeasuredStream(service, spec.stream_id, recorder, texts)
                        rows.append(await stream.measure(objects, options))
    height, width = SIZE
    source = "go2rtc on this machine, packets copied"
    return LineReport(source, FPS, width, height, len(os.sched_getaffinity(0)), tuple(rows))


def most_visible(truth: GroundTruth, step: int = 10) -> list[str]:
    """Return expressions for the scene's objects, sorted by the number of frames on which they are visible.

    One frame in `step` is counted.
    """

    def visible_frames(text: str) -> int:
        return sum(bool(truth.mask_of(text, frame).any()) for frame in range(0, len(truth.masks), step))

    return sorted((f"the {label}" for label in truth.objects), key=lambda text: -visible_frames(text))


class _MeasuredStream:
    """Adds and edits a stream's queries and records how long their masks take."""

    def __init__(
        self, service: Service, stream_id: StreamId, recorder: ResultRecorder, texts: Sequence[str]
    ) -> None:
        self._supervisor = service.supervisor
        self._stream_id = stream_id
        self._recorder = recorder
        self._texts = texts
        self._latencies_s: list[float | None] = []

    async def measure(self, objects: int, options: LineOptions) -> LineRow:
        """Track so many objects for `options.seconds`, then edit the first query `options.edits` times."""
        queries = [await self._add(text) for text in self._texts[:objects]]
        await asyncio.sleep(WARM_UP_S)
        before, first = read_usage(), len(self._recorder.results)
        await asyncio.sleep(options.seconds)
        cores, measured = cores_between(before, read_usage()), slice(first, len(self._recorder.results))
        for number in range(options.edits):
            # The first and the second text in turn; queries for the third and further objects stay.
            await asyncio.sleep(PAUSE_S)
            await self._edit(queries[0], self._texts[(number + 1) % 2])
        results, read_s = self._recorder.results[measured], self._recorder.read_s[measured]
        return _row(objects, list(zip(results, read_s, strict=True)), self._latencies_s, cores)

    async def _add(self, text: str) -> Query:
        since = len(self._recorder.results)
        status = await self._supervisor.add_query(self._stream_id, text, QueryKind.REFER)
        await self._record_latency(status.query, since)
        return status.query

    async def _edit(self, query: Query, text: str) -> None:
        since = len(self._recorder.results)
        status = await self._supervisor.edit_query(query.query_id, text)
        await self._record_latency(status.query, since)

    async def _record_latency(self, query: Query, since: int) -> None:
        """Wait for the first mask of this revision."""
        found = await self._recorder.wait_for(lambda result: has_mask(result, query), since, TIMEOUT_S)
        self._latencies_s.append(found.published_s - query.accepted_s if found else None)


def has_mask(result: FrameResult, query: Query) -> bool:
    """Return whether a result has a mask of this revision of a query."""
    return any(
        (track.query_id, track.revision) == (query.query_id, query.revision) and track.mask is not None
        for track in result.tracks
    )


def _row(
    objects: int,
    read: Sequence[tuple[FrameResult, float]],
    latencies_s: Sequence[float | None],
    cores: dict[str, float],
) -> LineRow:
    """Return the figures of results; read: each with the time at which it was read."""
    rates = ResultRates()
    for result, _ in read:
        rates.add(result)
    masked = [[track.query_id for track in result.tracks if track.mask is not None] for result, _ in read]
    answered_s = [latency_s for latency_s in latencies_s if latency_s is not None]
    return LineRow(
        objects=objects,
        followed=_mean([len(set(queries)) / objects for queries in masked]),
        tracks=_mean([len(queries) for queries in masked]),
        tracked_fps=rates.fps,
        frame_age_p50_s=rates.age_s(0.5),
        frame_age_p95_s=rates.age_s(0.95),
        read_age_p95_s=quantile([at_s - result.captured_s for result, at_s in read], 0.95),
        dropped=rates.dropped,
        results=rates.results,
        decode_p50_s=quantile([result.latency_s.decode for result, _ in read], 0.5),
        track_p50_s=quantile([result.latency_s.track for result, _ in read], 0.5),
        prompt_to_mask_p50_s=quantile(answered_s, 0.5),
        prompt_to_mask_p95_s=quantile(answered_s, 0.95),
        prompts=len(latencies_s),
        prompts_answered=len(answered_s),
        cores=cores,
    )


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else 0.0
