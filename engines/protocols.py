"""The interfaces of trackers and grounders that actors use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from streaming.vocabulary import Answer, Click, Frame, Keyframe, Query, QueryId, Track

OnPartialText = Callable[[Query, str], None]
"Called with the text of an answer generated so far. An exception that it raises ends the generation."


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
