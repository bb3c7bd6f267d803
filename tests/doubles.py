"""Small implementations of the product's interfaces, used instead of mocks: a control, engines, an actor."""

from __future__ import annotations

import asyncio
import json
import os
from collections import Counter
from collections.abc import AsyncIterator, Hashable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import count
from pathlib import Path

import numpy as np

from actors.desired_state import Delta, HostedState
from actors.heartbeat import Heartbeat, StepTiming
from engines.masks import encode_mask
from engines.protocols import OnPartialText
from streaming.errors import Conflict, InvalidMessage, InvalidStream, LimitReached, NotFound, RefusedAddress
from streaming.status import QueryState, QueryStatus, StreamStatus, WebRtcSession
from streaming.validation import check_query_text, check_region, check_stream_id, quoted
from streaming.vocabulary import (
    Answer,
    Clock,
    Frame,
    Keyframe,
    Pixels,
    Query,
    QueryId,
    QueryKind,
    Region,
    SegPrompt,
    SourceState,
    StreamId,
    StreamSpec,
    Track,
    TrackId,
    TrackState,
)


class MemoryControl:
    """`dashboards.control.Control` in memory, without cameras, models or Redis.

    Refuses hosts that begin with `10.`; a `whip:` stream has at most one publisher. `parts` is the readiness
    that it reports.
    """

    def __init__(self, *, max_streams: int = 4, max_queries: int = 4, max_query_chars: int = 500) -> None:
        self._limits = (max_streams, max_queries, max_query_chars)
        self._streams: dict[StreamId, StreamStatus] = {}
        self._queries: dict[QueryId, QueryStatus] = {}
        self._urls: dict[StreamId, str] = {}
        self._numbers = count(1)
        self.sessions: dict[str, set[tuple[StreamId, str]]] = {"whip": set(), "whep": set()}
        self.parts = {"redis": "ok", "workers": "ok", "grounder": "ok"}
        self.calls: Counter[str] = Counter()

    def set_live(self, stream_id: StreamId, width: int, height: int) -> None:
        """Set a stream to live, with a frame rate and ages."""
        live = replace(
            self._streams[stream_id],
            state=SourceState.LIVE,
            width=width,
            height=height,
            tracked_fps=25.0,
            frame_age_p50_s=0.02,
            frame_age_p95_s=0.04,
        )
        self._streams[stream_id] = live

    def answer(self, query_id: QueryId, text: str, presence: float) -> None:
        """Set a query to following, with an answer."""
        self._queries[query_id] = replace(
            self._queries[query_id],
            state=QueryState.FOLLOWING,
            answer=text,
            presence=presence,
            prompt_to_mask_s=0.2,
        )

    async def list_streams(self) -> list[StreamStatus]:
        return [self._whole(status) for status in self._streams.values()]

    async def get_stream(self, stream_id: StreamId) -> StreamStatus:
        self.calls["get_stream"] += 1
        return self._whole(self._known(stream_id))

    async def add_stream(self, spec: StreamSpec) -> StreamStatus:
        stream_id = check_stream_id(spec.stream_id)
        if ":" not in spec.url:
            raise InvalidStream(f"{quoted(spec.url)} is no source.", remedy="Write rtsp://…")
        if spec.url.startswith("rtsp://10."):
            raise RefusedAddress("10.0.0.0/8 is private.", remedy="Add it to allowed_hosts.")
        if stream_id in self._streams:
            raise Conflict(f"There is a stream {stream_id} already.", remedy="Remove it first.")
        if len(self._streams) >= self._limits[0]:
            raise LimitReached(f"At most {self._limits[0]} streams.", remedy="Remove one.")
        self._urls[stream_id] = spec.url
        self._streams[stream_id] = StreamStatus(stream_id, spec.url, SourceState.STARTING)
        return self._streams[stream_id]

    async def remove_stream(self, stream_id: StreamId) -> None:
        self._known(stream_id)
        del self._streams[stream_id]
        self._queries = {
            key: status for key, status in self._queries.items() if status.query.stream_id != stream_id
        }

    async def list_queries(self, stream_id: StreamId) -> list[QueryStatus]:
        self._known(stream_id)
        return list(self._asked_about(stream_id))

    async def get_query(self, query_id: QueryId) -> QueryStatus:
        if query_id not in self._queries:
            raise NotFound(f"There is no query {quoted(query_id)}.")
        return self._queries[query_id]

    async def add_query(
        self, stream_id: StreamId, text: str, kind: QueryKind, region: Region | None = None
    ) -> QueryStatus:
        self._known(stream_id)
        words = check_query_text(text, self._limits[2])
        if len(list(self._asked_about(stream_id))) >= self._limits[1]:
            raise LimitReached(f"At most {self._limits[1]} queries.", remedy="Remove one.")
        query_id = QueryId(f"q{next(self._numbers)}")
        self._queries[query_id] = QueryStatus(
            Query(query_id, stream_id, words, kind, accepted_s=1.0, region=check_region(region, kind))
        )
        return self._queries[query_id]

    async def edit_query(self, query_id: QueryId, text: str) -> QueryStatus:
        old = (await self.get_query(query_id)).query
        words = check_query_text(text, self._limits[2])
        self._queries[query_id] = QueryStatus(replace(old, text=words, revision=old.revision + 1))
        return self._queries[query_id]

    async def remove_query(self, query_id: QueryId) -> None:
        await self.get_query(query_id)
        del self._queries[query_id]

    async def whip_offer(self, stream_id: StreamId, sdp: str) -> WebRtcSession:
        self._known(stream_id)
        if self._urls[stream_id] != "whip:":
            raise Conflict(f"{stream_id} is not published by a browser.", remedy="Add it with URL whip:.")
        if any(name == stream_id for name, _ in self.sessions["whip"]):
            raise Conflict(f"{stream_id} has a publisher.", remedy="Wait until it leaves.")
        return self._open("whip", stream_id)

    async def whip_end(self, stream_id: StreamId, session_id: str) -> None:
        self._close("whip", stream_id, session_id)

    async def whep_offer(self, stream_id: StreamId, sdp: str) -> WebRtcSession:
        self._known(stream_id)
        return self._open("whep", stream_id)

    async def whep_end(self, stream_id: StreamId, session_id: str) -> None:
        self._close("whep", stream_id, session_id)

    async def readiness(self) -> dict[str, str]:
        return dict(self.parts)

    async def metrics(self) -> bytes:
        return b"# TYPE saccade_stream_up gauge\n"

    def _known(self, stream_id: StreamId) -> StreamStatus:
        if stream_id not in self._streams:
            raise NotFound(f"There is no stream {quoted(stream_id)}.", remedy="See GET /v1/streams.")
        return self._streams[stream_id]

    def _whole(self, status: StreamStatus) -> StreamStatus:
        return replace(status, queries=tuple(self._asked_about(status.stream_id)))

    def _asked_about(self, stream_id: StreamId) -> Iterable[QueryStatus]:
        return (status for status in self._queries.values() if status.query.stream_id == stream_id)

    def _open(self, protocol: str, stream_id: StreamId) -> WebRtcSession:
        session_id = f"session{next(self._numbers)}"
        self.sessions[protocol].add((stream_id, session_id))
        return WebRtcSession(session_id, "v=0\r\ns=answer\r\n")

    def _close(self, protocol: str, stream_id: StreamId, session_id: str) -> None:
        if (stream_id, session_id) not in self.sessions[protocol]:
            raise NotFound("There is no such session; it may have ended.")
        self.sessions[protocol].discard((stream_id, session_id))


RED, BLUE = (220, 30, 30), (30, 30, 220)


def square_image(centre: tuple[int, int], rgb: tuple[int, int, int] = RED, side: int = 16) -> Pixels:
    """Return a (48, 64, 3) uint8 RGB image: a coloured square around `centre` (x, y) on grey."""
    image = np.full((48, 64, 3), 90, np.uint8)
    x, y = centre
    image[max(0, y - side // 2) : y + side // 2, max(0, x - side // 2) : x + side // 2] = rgb
    return image


def frame_of(pixels: Pixels, index: int, stream_id: str = "s", fps: float = 30.0) -> Frame:
    """Return a frame of a stream; `pts_s` and `captured_s` are index / fps."""
    return Frame(StreamId(stream_id), index, pixels, index / fps, index / fps, Clock.ARRIVAL)


def colour_logits(pixels: Pixels, word: str) -> np.ndarray:
    """Return (1, H, W) float32 logits: > 0 where the image is blue (if `word` contains "blue") or red."""
    wanted = np.array(BLUE if "blue" in word else RED, int)
    distance = np.abs(pixels.astype(int) - wanted).max(axis=2)
    return (40 - distance)[None].astype(np.float32)


class ColourGrounder:
    """`Grounder` for red and blue objects: "I cannot see …" if there is none. Raises on the word "crash"."""

    def __init__(self) -> None:
        self.keyframes: list[Keyframe] = []

    def ground(self, keyframe: Keyframe) -> list[Answer]:
        self.keyframes.append(keyframe)
        return [self._answer(keyframe.frame, query) for query in keyframe.queries]

    def ground_batch(self, keyframes: Sequence[Keyframe]) -> list[list[Answer]]:
        return [self.ground(keyframe) for keyframe in keyframes]

    def generate(self, keyframe: Keyframe, on_partial: OnPartialText) -> list[Answer]:
        """Report each partial answer, one word longer each time; return the answers."""
        answers = self.ground(keyframe)
        for query, answer in zip(keyframe.queries, answers, strict=True):
            words = answer.text.split()
            for length in range(1, len(words) + 1):
                on_partial(query, " ".join(words[:length]))
        return answers

    def _answer(self, frame: Frame, query: Query) -> Answer:
        if "crash" in query.text:
            raise RuntimeError("the model fell over")
        logits = colour_logits(frame.pixels, query.text)
        found = bool((logits > 0).any())
        prompts = (SegPrompt(query.text, np.zeros(4, np.float32), 0.9),) if found else ()
        text = "Sure, [SEG]." if found else f"I cannot see {query.text}."
        return Answer(
            frame.stream_id,
            query.query_id,
            query.revision,
            frame.index,
            text,
            prompts,
            logits[: len(prompts)],
            0.01,
        )


@dataclass(frozen=True)
class ColourSnapshot:
    """See `engines.protocols.Snapshot`."""

    next_id: int
    data: bytes

    @property
    def nbytes(self) -> int:
        return len(self.data)

    def to_chunks(self) -> list[bytes]:
        return [self.data[:10], self.data[10:]]


class ColourTracker:
    """`Tracker` by colour: one track per query, its mask computed from each frame alone.

    Ignores an answer on a keyframe that was not pinned. Raises on a black frame.
    """

    weights = "colours"
    "A tracker with others refuses its snapshots."

    def __init__(self) -> None:
        self.pins: list[int] = []
        self.released: list[QueryId] = []
        self.committed = 0
        self._tracks: dict[QueryId, Track] = {}
        self._words: dict[QueryId, str] = {}
        self._next_id = 1

    def step(self, frame: Frame, answers: Sequence[Answer] = ()) -> list[Track]:
        if frame.pixels.max() < 16:
            raise RuntimeError("a black frame")
        for answer in answers:
            if answer.prompts and answer.keyframe_index in self.pins:
                self._begin(answer)
        ended = [
            replace(self._tracks.pop(query_id), state=TrackState.ENDED, mask=None, box_px=None)
            for query_id in self.released
            if query_id in self._tracks
        ]
        self.released.clear()
        self._tracks = {key: self._follow(track, frame) for key, track in self._tracks.items()}
        return [*self._tracks.values(), *ended]

    def commit_memory(self) -> None:
        self.committed += 1

    def pin(self, frame_index: int) -> None:
        self.pins.append(frame_index)

    def release(self, query_id: QueryId) -> None:
        self.released.append(query_id)

    def reset(self) -> None:
        self.pins.clear()
        self.released.clear()
        self._tracks.clear()
        self._words.clear()

    @property
    def changes(self) -> Hashable:
        return self._next_id, tuple(self._words.items()), tuple(self._tracks)

    def snapshot(self) -> ColourSnapshot:
        """Everything but masks."""
        tracks = [asdict(replace(track, mask=None, box_px=None)) for track in self._tracks.values()]
        state = {"weights": self.weights, "next_id": self._next_id, "tracks": tracks, "words": self._words}
        return ColourSnapshot(self._next_id, json.dumps(state).encode())

    def restore(self, data: bytes) -> None:
        state = json.loads(data)
        if state["weights"] != self.weights:
            raise InvalidMessage("The tracker state was stored with other weights.")
        tracks = [Track(**{**fields, "state": TrackState(fields["state"])}) for fields in state["tracks"]]
        self._tracks = {track.query_id: track for track in tracks}
        self._words = state["words"]
        self.skip_ids(state["next_id"])

    def skip_ids(self, next_id: int) -> None:
        self._next_id = max(self._next_id, next_id)

    def _begin(self, answer: Answer) -> None:
        old = self._tracks.get(answer.query_id)
        track_id = old.track_id if old else TrackId(self._next_id)
        self._next_id += old is None
        self._words[answer.query_id] = answer.prompts[0].phrase
        self._tracks[answer.query_id] = Track(
            track_id,
            answer.query_id,
            answer.revision,
            answer.prompts[0].phrase,
            TrackState.ACTIVE,
            1.0,
            None,
            None,
            answer.keyframe_index,
        )

    def _follow(self, track: Track, frame: Frame) -> Track:
        mask = colour_logits(frame.pixels, self._words[track.query_id])[0] > 0
        if not mask.any():
            return replace(track, state=TrackState.LOST, mask=None, box_px=None)
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        box = (float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1))
        return replace(track, state=TrackState.ACTIVE, mask=encode_mask(mask), box_px=box)


class HostActor:
    """A worker actor without streams: it records its deltas, and can be made to fail or be slow."""

    def __init__(
        self,
        *,
        trouble: str = "",
        applying_s: float = 0.0,
        full_disk: Path | None = None,
        hung_steps: Path | None = None,
    ) -> None:
        """`trouble`: the constructor raises it. `full_disk`: the constructor fails while that file exists.

        `hung_steps`: the file that `report_hung_steps` writes.
        """
        if trouble:
            raise NotFound(trouble, remedy="Try another.")
        if full_disk is not None and full_disk.exists():
            raise OSError("No space left on device")
        self._applying_s = applying_s
        self._hung_steps = hung_steps
        self._state = HostedState()
        self._deltas: list[Delta] = []
        self._steps: dict[StreamId, StepTiming] = {}

    async def pid(self) -> int:
        return os.getpid()

    async def heartbeat(self) -> Heartbeat:
        statuses = tuple(
            StreamStatus(stream_id, spec.url, SourceState.LIVE)
            for stream_id, spec in self._state.streams.items()
        )
        return Heartbeat(os.getpid(), self._state.version, statuses, self._steps)

    async def apply(self, delta: Delta) -> Heartbeat:
        self._deltas.append(delta)
        await asyncio.sleep(self._applying_s)
        if self._state.fits(delta):
            self._state = self._state.applied(delta)
        return await self.heartbeat()

    async def deltas(self) -> list[Delta]:
        return self._deltas

    async def hang_step(self, stream_id: StreamId, running_s: float) -> None:
        """Report from now on that a tracking thread has been in one step for that long."""
        self._steps = {stream_id: StepTiming(running_s, 0.02)}

    async def report_hung_steps(self, hung_s: Mapping[StreamId, float]) -> None:
        """Write the ids to a file, as this process is about to be killed."""
        if self._hung_steps is not None:
            self._hung_steps.write_text(" ".join(hung_s))

    async def not_found(self) -> None:
        raise NotFound("There is no such object.", remedy="Try another.")

    async def bug(self) -> None:
        raise ZeroDivisionError

    async def count_down(self, start: int, end: int = 1) -> AsyncIterator[int]:
        """Yield the numbers from `start` to `end`; raise NotFound at zero."""
        for number in range(start, end - 1, -1):
            if number == 0:
                raise NotFound("There is no zero.")
            yield number

    async def hang(self) -> None:
        await asyncio.sleep(60)
