"""The source of a video file: paced like a camera, or as fast as its frames are taken."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

from streaming.errors import SourceInvalid
from streaming.sources.base import Source
from streaming.sources.decoder import DecodedFrame
from streaming.sources.ffmpeg import FFmpegReader, OpenOptions
from streaming.sources.timeline import MAX_PAUSE_S, MAX_STEP_S, Timeline
from streaming.validation import DEFAULT_MAX_PIXELS
from streaming.vocabulary import StreamId

FORMATS = (
    "mov,mp4,m4a,3gp,matroska,webm,avi,mpegts,mpeg,flv,ogg,asf,ivf,h264,hevc,yuv4mpegpipe,mjpeg,gif,mxf,nut,"
    "apng,png_pipe,jpeg_pipe,webp_pipe,bmp_pipe,tiff_pipe"
)
"""FFmpeg's demuxers that read a single file of video or a picture. Excluded: playlists and scripts (hls,
dash, concat) and numbered files (image2), which name other files, and `tty`, which renders any text."""

STILL_PERIOD_S = 0.2
"""A file of one picture, played as a stream, is shown again after this long."""

LATE_S = 0.5
"""A paced clip that is later than this continues from now instead of catching up."""


@dataclass(frozen=True, slots=True)
class Playback:
    """How a clip is played."""

    paced: bool = True
    "By its timestamps, like a camera; else as fast as `deliver` takes frames."
    looped: bool = False
    "Endlessly from the beginning; frame indices and pts_s keep increasing."
    max_pixels: int = DEFAULT_MAX_PIXELS
    "Of a picture; a file with larger ones is refused."


class ClipSource(Source):
    """A video file. ENDED after its last frame, FAILED (SourceInvalid) if it is not a video.

    To lose no frame, play it unpaced into a `deliver` that blocks, such as `Latest.put_blocking`.
    """

    def __init__(self, stream_id: StreamId, path: str, playback: Playback) -> None:
        super().__init__(stream_id)
        self._path = path
        self._playback = playback
        self._timeline: Timeline | None = None
        self._start_s: float | None = None

    def _run(self) -> None:
        still = self._play()
        while self._playback.looped and not self._stopping.is_set():
            if still is None:
                self._play()
            else:
                self._deliver_on_time(still, STILL_PERIOD_S)

    def _play(self) -> DecodedFrame | None:
        """Play once; return the picture if the file has only one.

        The next pass continues a frame period later. It opens the file again: raw H.264 cannot be rewound.
        """
        before, corrupt = self.status.frames, 0
        still = None
        with open_clip(self._path, self._playback.max_pixels) as reader:
            self._timeline = self._timeline or clip_timeline(reader)
            self._timeline.restart()
            for frame in pictures(reader, self._path):
                if self._stopping.is_set():
                    return None
                self._count(corrupt=reader.corrupt - corrupt)
                corrupt = reader.corrupt
                if frame is not None:
                    self._deliver_on_time(frame, 1.0 / (reader.rate or 25.0))
                    still = replace(frame, raw_pts_s=None, decode_s=0.0)
        return still if self.status.frames == before + 1 else None

    def _deliver_on_time(self, frame: DecodedFrame, period_s: float) -> None:
        assert self._timeline is not None
        # A clip has no clock: where timestamps are missing, frames are one frame period apart.
        pts_s = self._timeline.at(frame.raw_pts_s, self.status.frames * period_s)
        if self._playback.paced:
            self._wait_until_due(pts_s)
        self._deliver_frame(frame.pixels, pts_s, time.time(), frame.decode_s)

    def _wait_until_due(self, pts_s: float) -> None:
        now_s = time.monotonic()
        if self._start_s is None or now_s - (self._start_s + pts_s) > LATE_S:
            self._start_s = now_s - pts_s
        self._stopping.wait(max(0.0, self._start_s + pts_s - now_s))


def clip_options(path: str, max_pixels: int = DEFAULT_MAX_PIXELS) -> OpenOptions:
    """Return options to open a single file, and no file that it names."""
    options = {"protocol_whitelist": "file", "format_whitelist": FORMATS}
    return OpenOptions(f"file:{path}", path, options=options, max_pixels=max_pixels)


def open_clip(path: str, max_pixels: int = DEFAULT_MAX_PIXELS) -> FFmpegReader:
    """Open a reader of the video or picture file at `path`.

    Raises SourceInvalid if it is neither or its pictures have more than `max_pixels`, SourceUnavailable if it
    is not there or cannot be read.
    """
    return FFmpegReader(clip_options(path, max_pixels))


def clip_timeline(reader: FFmpegReader) -> Timeline:
    """Return the time line of a file, which begins at 0 and keeps its pauses."""
    return Timeline(MAX_STEP_S if reader.clock_restarts else MAX_PAUSE_S)


def pictures(reader: FFmpegReader, path: str) -> Iterator[DecodedFrame | None]:
    """Yield what `reader.frames` yields. Raises as that, and SourceInvalid after a file without a picture."""
    is_empty = True
    for frame in reader.frames():
        is_empty = is_empty and frame is None
        yield frame
    if is_empty:
        raise SourceInvalid(
            f"No picture of {path} can be decoded.",
            remedy="Play it elsewhere first, or convert it to MP4: animated WebP is not read, nor are "
            "pictures of more than max_frame_pixels.",
        )
