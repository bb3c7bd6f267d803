"""The interfaces of trackers and grounders that actors use."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Protocol

from streaming.vocabulary import Answer, Click, Frame, Keyframe, Query, QueryId, Track

OnPartialText = Callable[[Query, str], None]
"Called with the text of an answer generated so far. An exception that it raises ends the generation."


class Snapshot(Protocol):
    """The state of a tracker at one moment. Nothing in it ever changes: any thread may serialise it."""

    @property
    def next_id(self) -> int:
        """The next new track's id."""

    @property
    def nbytes(self) -> int:
        """About the size of the chunks, bytes."""

    def to_chunks(self) -> Sequence[bytes | memoryview]:
        """Serialise into consecutive parts, without copying memories."""


class Tracker(Protocol):
    """Tracks the objects of one stream. Trackers share weights, never memory. Not thread-safe."""

    def step(self, frame: Frame, answers: Sequence[Answer | Click] = ()) -> list[Track]:
        """Write late answers into memory, then track every object on this frame.

        Each mask of an answer becomes a conditioning memory on the features of its keyframe, which must be
        pinned. A mask that overlaps a live track of the same query updates that track; others start tracks.
        Answers are ignored if the pin has expired or the query has a newer revision. A click is an answer
        about one object and does not affect the query's other tracks.
        """

    def commit_memory(self) -> None:
        """Encode the memory of the frame just stepped; otherwise the next `step` does it first.

        Results do not depend on it. Called after a frame's tracks are published, it delays neither them nor
        the next frame.
        """

    def pin(self, frame_index: int) -> None:
        """Store the frame just stepped for a later answer about it. Bounded: the oldest pin is dropped."""

    def release(self, query_id: QueryId) -> None:
        """End every track of a query; the next `step` reports each once as `ended`."""

    def reset(self) -> None:
        """Clear all objects, pins and queries, after a failure. Track ids are not reused."""

    @property
    def changes(self) -> Hashable:
        """A value that is another one after each change that matters to a snapshot."""

    def snapshot(self) -> Snapshot:
        """Return what the tracks of the next frames depend on, but for pins; takes microseconds."""

    def restore(self, data: bytes) -> None:
        """Replace the state by the joined chunks of a snapshot that a tracker of these weights has made.

        Track ids already used here, or there, are not used again. Raises InvalidMessage where the bytes are
        no such state, LimitReached where its objects do not fit; the state is then unchanged.
        """

    def skip_ids(self, next_id: int) -> None:
        """Use no track id below `next_id` for a new track."""


class Grounder(Protocol):
    """Answers queries about a keyframe with text, `[SEG]` embeddings and masks. Stateless between calls."""

    def ground(self, keyframe: Keyframe) -> list[Answer]:
        """Answer every query of the keyframe, in order."""


class SharedGrounder(Grounder, Protocol):
    """A grounder that several streams share."""

    def ground_batch(self, keyframes: Sequence[Keyframe]) -> list[list[Answer]]:
        """Answer as `ground` for each keyframe, in order; in one batch where the model can."""

    def generate(self, keyframe: Keyframe, on_partial: OnPartialText) -> list[Answer]:
        """Answer as `ground`, and pass partial answers to `ask` and `describe` queries to `on_partial`."""
