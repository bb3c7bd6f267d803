"""The source of a video file: paced like a camera, or as fast as its frames are taken."""

from __future__ import annotations

import time
from dataclasses import dataclass

from streaming.errors import SourceInvalid
from streaming.sources.base import Source
from streaming.sources.decoder import DecodedFrame
from streaming.sources.ffmpeg import FFmpegReader, OpenOptions
from streaming.sources.timeline import Timeline
from streaming.vocabulary import StreamId

FORMATS = (
    "mov,mp4,m4a,3gp,matroska,webm,avi,mpegts,mpeg,flv,ogg,asf,ivf,h264,hevc,yuv4mpegpipe,mjpeg,gif,mxf,nut"
)
"""FFmpeg's demuxers that read a single video file. Excluded: playlists and scripts (hls, dash, concat), which
name other files, and `tty`, which renders any text."""

LATE_S = 0.5
"""A paced clip that is later than this continues from now instead of catching up."""


@dataclass(frozen=True, slots=True)
class Playback:
    """Pacing and looping of a clip."""

    paced: bool = True
    "By its timestamps, like a camera; else as fast as `deliver` takes frames."
    looped: bool = False
    "Endlessly from the beginning; frame indices and pts_s keep increasing."


class ClipSource(Source):
    """A video file. ENDED after its last frame, FAILED (SourceInvalid) if it is not a video.

    To lose no frame, play it unpaced into a `deliver` that blocks, such as `Latest.put_blocking`.
    """

    def __init__(self, stream_id: StreamId, path: str, playback: Playback) -> None:
        super().__init__(stream_id)
        self._path = path
        self._playback = playback
        self._timeline = Timeline()
        self._start_s: float | None = None

    def _run(self) -> None:
        with open_clip(self._path) as reader:
            self._play(reader)
            while self._playback.looped and not self._stopping.is_set():
                reader.rewind()
                self._play(reader)

    def _play(self, reader: FFmpegReader) -> None:
        """Play once; the next pass continues one frame period after the last frame."""
        before, corrupt = self.status.frames, reader.corrupt
        self._timeline.restart()
        for frame in reader.frames():
            if self._stopping.is_set():
                return
            self._count(corrupt=reader.corrupt - corrupt)
            corrupt = reader.corrupt
            if frame is not None:
                self._deliver_on_time(frame, 1.0 / (reader.rate or 25.0))
        if self.status.frames == before:
            raise SourceInvalid(
                f"No picture of {self._path} can be decoded.", remedy="Play it elsewhere first."
            )

    def _deliver_on_time(self, frame: DecodedFrame, period_s: float) -> None:
        # A clip has no wall clock: where timestamps are missing, frames are one frame period apart.
        pts_s = self._timeline.at(frame.raw_pts_s, self.status.frames * period_s)
        if self._playback.paced:
            self._wait_until_due(pts_s)
        self._deliver_frame(frame.pixels, pts_s, time.time(), frame.decode_s)

    def _wait_until_due(self, pts_s: float) -> None:
        now_s = time.monotonic()
        if self._start_s is None or now_s - (self._start_s + pts_s) > LATE_S:
            self._start_s = now_s - pts_s
        self._stopping.wait(max(0.0, self._start_s + pts_s - now_s))


def clip_options(path: str) -> OpenOptions:
    """Return options to open a single file, and no file that it names."""
    options = {"protocol_whitelist": "file", "format_whitelist": FORMATS}
    return OpenOptions(f"file:{path}", path, options=options)


def open_clip(path: str) -> FFmpegReader:
    """Open a reader of the video file at `path`.

    Raises SourceInvalid if it is not a video, SourceUnavailable if it is not there or cannot be read.
    """
    return FFmpegReader(clip_options(path))
