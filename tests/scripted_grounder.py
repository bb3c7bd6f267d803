"""A grounder with scripted answers, for tests of evaluation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from streaming.vocabulary import Answer, Keyframe, Mask, Query, SegPrompt

Script = Callable[[Query], tuple[str, Sequence[Mask]]]
"Maps a query to the text and the masks (H, W) of its answer."


@dataclass
class ScriptedGrounder:
    """Answers every query by the script and records the keyframes."""

    script: Script
    keyframes: list[Keyframe] = field(default_factory=list)

    def ground(self, keyframe: Keyframe) -> list[Answer]:
        self.keyframes.append(keyframe)
        return [self._answer(query, keyframe.frame.index) for query in keyframe.queries]

    def _answer(self, query: Query, index: int) -> Answer:
        text, masks = self.script(query)
        logits = [np.where(mask, 1, -1).astype(np.float32) for mask in masks]
        return Answer(
            query.stream_id,
            query.query_id,
            query.revision,
            index,
            text,
            tuple(SegPrompt(query.text, np.zeros(4, np.float32), 1.0) for _ in masks),
            np.stack(logits) if logits else np.zeros((0, 4, 4), np.float32),
            ground_s=0.25,
        )


def refuse(query: Query) -> tuple[str, Sequence[Mask]]:
    """Answer that there is no such object."""
    return "I cannot see it.", ()


def whole_image(query: Query) -> tuple[str, Sequence[Mask]]:
    """Answer with a mask of the whole image."""
    return "Sure.", (np.ones((64, 64), np.bool_),)
