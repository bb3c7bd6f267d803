"""Words on live streams, the whole line: held-out clips on air, words asked of them, masks read back."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from actors.service import Service
from lab.benchmarks.isolated_service import service_apart, watched_stream
from lab.evaluation.live_clips import FPS, FRAMES, LiveClip, Window, draw_live_clips
from lab.evaluation.live_score import Asked, LiveScore, Played, Shown, score_played
from lab.evaluation.published_results import Watching
from lab.fixtures.rtsp_camera import Camera, on_air, require_go2rtc
from lab.training.world.levels import Level
from streaming.settings import Settings
from streaming.vocabulary import QueryKind, StreamId, StreamSpec


@dataclass(frozen=True, slots=True)
class LiveOptions:
    """What is played."""

    level: Level
    clips: int
    "Each takes about a quarter of a minute."


async def score_live(settings: Settings, options: LiveOptions, advance: Callable[[], None]) -> LiveScore:
    """Measure the service that `settings` make; `advance` is called after each clip.

    Raises ServiceUnavailable where go2rtc is missing, and what `running_service` raises.
    """
    binary = require_go2rtc()
    played = []
    with tempfile.TemporaryDirectory(prefix="saccade-live-") as folder:
        clips = await asyncio.to_thread(draw_live_clips, options.clips, options.level, Path(folder))
        async with service_apart(settings, Path(folder)) as service:
            for clip in clips:
                with on_air(clip.path, FPS, binary) as camera:
                    played.append(await _play(service, clip, camera))
                advance()
    # Judging takes time: not while anything is measured.
    return score_played(played)


async def _play(service: Service, clip: LiveClip, camera: Camera) -> Played:
    spec = StreamSpec(StreamId(f"live-{clip.seed}"), camera.url)
    asked: list[Asked] = []
    async with watched_stream(service, spec) as watching:
        now = _picture_on(camera)
        for window in sorted(clip.windows, key=lambda window: (window.start - now) % FRAMES):
            asked += await _ask(service, spec.stream_id, window, camera)
    return Played(clip, tuple(asked), _shown(watching, camera), tuple(watching.answers))


async def _ask(service: Service, stream_id: StreamId, window: Window, camera: Camera) -> list[Asked]:
    """Wait for the window, ask its words, let them be followed to its end, take them back."""
    await asyncio.sleep(_until(camera, window.start) / FPS)
    ends_s = time.time() + (window.end - window.start) / FPS
    asked = []
    for expression in window.words:
        status = await service.supervisor.add_query(stream_id, expression.text, QueryKind.REFER)
        asked.append(Asked(status.query, expression, ends_s))
    await asyncio.sleep(max(0.0, ends_s - time.time()))
    for one in asked:
        await service.supervisor.remove_query(one.query.query_id)
    return asked


def _until(camera: Camera, frame: int) -> int:
    """Pictures from now to the next time that a frame of the clip is on."""
    return (frame - _picture_on(camera)) % FRAMES


def _picture_on(camera: Camera) -> int:
    on_air = camera.on_at(time.time())
    assert on_air is not None, "results came, so pictures went"
    return on_air


def _shown(watching: Watching, camera: Camera) -> tuple[Shown, ...]:
    """Every result with its pictures. The least late one tells how the stream's time lies to the clip's."""
    offsets = [camera.offset_of(result) for result in watching.results]
    offset = min((offset for offset in offsets if offset is not None), default=None)
    return tuple(
        Shown(result, camera.clip_frame(result, offset), camera.on_at(result.published_s) or 0)
        for result in watching.results
    )
