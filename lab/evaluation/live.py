"""Quality of the whole service: clips as live RTSP cameras, expressions asked, masks read back."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from actors.service import Service
from lab.evaluation.live_clips import FPS, LiveClip, Window
from lab.evaluation.live_score import LiveQuery, LiveResult, LiveRun, LiveScore, score_live_runs
from lab.fixtures.isolated_service import recorded_stream, run_isolated_service
from lab.fixtures.published_results import ResultRecorder
from lab.fixtures.rtsp_camera import ClipCamera, play_over_rtsp, require_go2rtc
from streaming.settings import Settings
from streaming.vocabulary import QueryKind, StreamId, StreamSpec


async def score_live(settings: Settings, clips: Sequence[LiveClip], advance: Callable[[], None]) -> LiveScore:
    """Measure a service with these settings; `advance` is called after each clip. A drawn clip takes 15 s.

    Raises ServiceUnavailable where go2rtc is missing, and what `running_service` raises.
    """
    binary = require_go2rtc()
    runs = []
    with tempfile.TemporaryDirectory(prefix="saccade-live-") as folder:
        async with run_isolated_service(settings, Path(folder)) as service:
            for clip in clips:
                with play_over_rtsp(clip.path, FPS, binary) as camera:
                    runs.append(await _play(service, clip, camera))
                advance()
    # After the service has stopped: scoring would take CPU time from it.
    return score_live_runs(runs)


async def _play(service: Service, clip: LiveClip, camera: ClipCamera) -> LiveRun:
    """Ask every window's expressions, beginning with the window that comes next."""
    spec = StreamSpec(StreamId(f"live-{clip.name}"), camera.url)
    queries: list[LiveQuery] = []
    async with recorded_stream(service, spec) as recorder:
        length, now = len(clip.masks), _current_frame(camera)
        for window in sorted(clip.windows, key=lambda window: (window.start - now) % length):
            await asyncio.sleep((window.start - _current_frame(camera)) % length / FPS)
            queries += await _ask(service, spec.stream_id, window)
    return LiveRun(clip, tuple(queries), _live_results(recorder, camera), tuple(recorder.answers))


async def _ask(service: Service, stream_id: StreamId, window: Window) -> list[LiveQuery]:
    """Add the queries of a window that begins now; remove them at its end."""
    until_s = time.time() + (window.end - window.start) / FPS
    queries = []
    for expression in window.expressions:
        status = await service.supervisor.add_query(stream_id, expression.text, QueryKind.REFER)
        queries.append(LiveQuery(status.query, expression, until_s))
    await asyncio.sleep(max(0.0, until_s - time.time()))
    for query in queries:
        await service.supervisor.remove_query(query.query.query_id)
    return queries


def _current_frame(camera: ClipCamera) -> int:
    frame = camera.frame_at(time.time())
    assert frame is not None, "the stream has results, so the camera has sent frames"
    return frame


def _live_results(recorder: ResultRecorder, camera: ClipCamera) -> tuple[LiveResult, ...]:
    """Find each result's frames of the clip; the smallest frame offset is the stream's."""
    offsets = [camera.frame_offset(result) for result in recorder.results]
    offset = min((offset for offset in offsets if offset is not None), default=None)
    return tuple(
        LiveResult(result, camera.clip_frame(result, offset), camera.frame_at(result.published_s) or 0)
        for result in recorder.results
    )
