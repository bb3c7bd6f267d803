"""A grounder that says what a test tells it to say, by the verb that the service uses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from streaming.vocabulary import Answer, Keyframe, Mask, Prompt, Query

Say = Callable[[Query], tuple[str, Sequence[Mask]]]
"""From a query to the answer's words and masks; no masks: nothing is pointed at."""


@dataclass
class ScriptedGrounder:
    """Remembers what it was shown."""

    say: Say
    shown: list[Keyframe] = field(default_factory=list)

    def ground(self, keyframe: Keyframe) -> list[Answer]:
        self.shown.append(keyframe)
        return [self._answer(query, keyframe.frame.index) for query in keyframe.queries]

    def _answer(self, query: Query, index: int) -> Answer:
        text, masks = self.say(query)
        logits = [np.where(mask, 1, -1).astype(np.float32) for mask in masks]
        return Answer(
            query.stream_id,
            query.query_id,
            query.revision,
            index,
            text,
            tuple(Prompt(query.text, np.zeros(4, np.float32), 1.0) for _ in masks),
            np.stack(logits) if logits else np.zeros((0, 4, 4), np.float32),
            ground_s=0.25,
        )


def silent(query: Query) -> tuple[str, Sequence[Mask]]:
    """Sees nothing, ever."""
    return "I cannot see it.", ()


def pointing(query: Query) -> tuple[str, Sequence[Mask]]:
    """Always means the whole picture."""
    return "Sure.", (np.ones((64, 64), np.bool_),)
