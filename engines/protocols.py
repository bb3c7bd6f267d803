"""The two verbs the actors know: a tracker steps, a grounder grounds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from streaming.vocabulary import Answer, Click, Frame, Keyframe, Query, QueryId, Track

Hear = Callable[[Query, str], None]
"Is told the words of an answer so far, as they grow. What it raises ends the answer."


class Tracker(Protocol):
    """Follows every object of one stream. Weights are shared between trackers, memory is not.

    Not thread-safe: one thread owns a tracker, as one thread owns its stream.
    """

    def step(self, frame: Frame, answers: Sequence[Answer | Click] = ()) -> list[Track]:
        """Take in what was learnt late, then say where everything is on this frame.

        An answer speaks about the keyframe it names, which must have been pinned. Its mask is written
        as a conditioning memory on that keyframe's features before `frame` is tracked. An answer
        for a pin that is gone or for an older revision than a track already follows is ignored.
        A mask that overlaps a live track of the same query refreshes it under its old id. A click is an
        answer about one object; it says nothing about others.
        """
        ...

    def settle(self) -> None:
        """Do what the next `step` would begin with: learn from the frame just stepped.

        Nothing depends on when it is done. Called once a frame's tracks are handed on, it makes neither them
        nor the next frame's wait.
        """
        ...

    def pin(self, frame_index: int) -> None:
        """Keep the features of the frame just stepped until an answer about it comes.

        Bounded: the oldest pin makes room.
        """
        ...

    def release(self, query_id: QueryId) -> None:
        """End every track of a query; the next `step` reports each once as `ended`."""
        ...

    def reset(self) -> None:
        """Forget every object, pin and query, after a failure; track ids given once are not given again."""
        ...


class Grounder(Protocol):
    """Turns words and a picture into prompts and masks. Stateless between calls."""

    def ground(self, keyframe: Keyframe) -> list[Answer]:
        """One answer for every query of the keyframe, in their order."""
        ...


class SharedGrounder(Grounder, Protocol):
    """A grounder that many streams share at a time."""

    def ground_together(self, keyframes: Sequence[Keyframe]) -> list[list[Answer]]:
        """What `ground` answers to each, in their order; sooner, where the model can take several at once."""
        ...

    def say(self, keyframe: Keyframe, hear: Hear) -> list[Answer]:
        """What `ground` answers, the words of `ask` and `describe` told as they come."""
        ...
