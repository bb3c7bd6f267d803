"""`saccade track`: follow queries through a file; write overlay.mp4 and results.jsonl.

Runs a `StreamSession` on the clip's own time. No frame is dropped and every keyframe is answered before the
next frame, so that the same clip and queries always give the same masks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from actors.cli.overlay import draw
from actors.session import StreamSession
from engines.protocols import Grounder, Tracker
from streaming import wire
from streaming.moment import Moment
from streaming.sources.clip import STILL_PERIOD_S, clip_timeline, open_clip, pictures
from streaming.video_writer import VideoWriter
from streaming.vocabulary import Clock, Frame, Keyframe, Query, QueryId, StreamId, TrackId

OVERLAY = "overlay.mp4"
RESULTS = "results.jsonl"
MAX_PIXELS = 1 << 26
"""Of a picture, 8192 x 8192: more than a service reads, for the file is the caller's own."""

Progress = Callable[[int, int | None], None]
"""Called after every frame with the number of frames done and of all frames (None if unknown)."""


@dataclass(frozen=True, slots=True)
class Engines:
    """The engines of a session."""

    grounder: Grounder
    make_tracker: Callable[[], Tracker]


@dataclass(frozen=True, slots=True)
class TrackSummary:
    """Counts over a clip. The field names are the JSON of `saccade track --json`."""

    frames: int
    frames_with_mask: int
    tracks: int
    "Track ids that had a mask on any frame."
    looks: int
    "Keyframes that were grounded."
    refused: int
    "Answers without an object."
    overlay: str
    results: str


class _ClipClock:
    """Clock of a session that stands at the presentation time of the current frame, seconds."""

    now_s = 0.0

    def __call__(self) -> Moment:
        return Moment(self.now_s, self.now_s)


class ClipTracker:
    """Follows queries through a clip. If `run` is interrupted, both files are complete up to that frame."""

    def __init__(self, texts: Sequence[str], engines: Engines) -> None:
        stream_id = StreamId("clip")
        self._grounder = engines.grounder
        self._clock = _ClipClock()
        self._session = StreamSession(stream_id, engines.make_tracker(), self._ground, self._clock)
        self._session.set_queries(
            [Query(QueryId(f"q{number}"), stream_id, text) for number, text in enumerate(texts, 1)]
        )
        self._frames = self._with_mask = self._looks = self._refused = 0
        self._tracks: set[TrackId] = set()

    def run(self, clip: Path, out: Path, progress: Progress) -> None:
        """Write overlay.mp4 and results.jsonl to the folder `out`, which is created if missing.

        `pts_s` begins at 0. Raises SourceInvalid (not a video), SourceUnavailable (no such file),
        SaccadeError (cannot write).
        """
        with open_clip(str(clip), MAX_PIXELS) as reader:
            out.mkdir(parents=True, exist_ok=True)
            fps, timeline = reader.rate or 25.0, clip_timeline(reader)
            with VideoWriter(out / OVERLAY, fps=fps) as video, (out / RESULTS).open("wb") as lines:
                for decoded in pictures(reader, str(clip)):
                    if decoded is None:
                        continue
                    pts_s = timeline.at(decoded.raw_pts_s, self._frames / fps)
                    frame = Frame(StreamId("clip"), self._frames, decoded.pixels, pts_s, pts_s, Clock.ARRIVAL)
                    self._step(frame, video, lines)
                    progress(self._frames, reader.length)
                if self._frames == 1:  # a picture: what is found on a frame is drawn on the next
                    self._step(replace(frame, index=1, pts_s=STILL_PERIOD_S), video, lines)

    def summary(self, out: Path) -> TrackSummary:
        """Return the counts so far."""
        return TrackSummary(
            self._frames,
            self._with_mask,
            len(self._tracks),
            self._looks,
            self._refused,
            str(out / OVERLAY),
            str(out / RESULTS),
        )

    def _step(self, frame: Frame, video: VideoWriter, lines: IO[bytes]) -> None:
        self._clock.now_s = frame.pts_s
        result = self._session.step(frame, 0).result
        video.write(draw(frame.pixels, result.tracks), frame.pts_s)
        lines.write(wire.encode(result) + b"\n")
        masked = {track.track_id for track in result.tracks if track.mask is not None}
        self._frames += 1
        self._with_mask += bool(masked)
        self._tracks |= masked

    def _ground(self, keyframe: Keyframe) -> None:
        # The clip's clock stands still while the model runs; a duration would differ between runs.
        answers = [replace(answer, ground_s=0.0) for answer in self._grounder.ground(keyframe)]
        self._looks += 1
        self._refused += sum(not answer.prompts for answer in answers)
        self._session.submit_answers(answers)
