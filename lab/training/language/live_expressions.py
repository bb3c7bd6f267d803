"""Words whose meaning lasts a while: what can be asked of a live stream and judged moment by moment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from lab.training.language.expressions import ABSENT_PER_KIND, KINDS_OF_PHRASE, Expression
from lab.training.language.nouns import Meaning
from lab.training.language.view import Seen, View
from lab.training.world.scenes import Clip

_Sayings = dict[str, tuple[str, Meaning]]
"By words: their kind and what they mean."


def lasting(clip: Clip, frames: Sequence[int], habit: int) -> list[Expression]:
    """Of each kind that the clip's level knows, all that can be said on the first of `frames` and never means
    anything else on the others; of what is not there a few.

    What is meant may hide or leave meanwhile: it is meant all the same. Whoever has another `habit` (>= 0)
    says it in other words.
    """
    first, *later = (View(clip, frame) for frame in frames)
    heard_later = [(view, _sayings(view, habit)) for view in later]
    found = []
    absent = Counter[str]()
    for text, (kind, meaning) in _sayings(first, habit).items():
        if meaning is None or (absent[kind] == ABSENT_PER_KIND and not meaning):
            continue
        if all(_agrees(meaning, said[text][1], view) for view, said in heard_later if text in said):
            absent[kind] += not meaning
            found.append(Expression(text, kind, meaning))
    return found


def _agrees(meaning: Seen, later: Meaning, view: View) -> bool:
    if later is None or later == meaning:
        return True
    return later == () and not set(meaning) <= set(view.seen)


def _sayings(view: View, habit: int) -> _Sayings:
    found: _Sayings = {}
    for kind in dict.fromkeys(view.level.phrases):
        for text, meaning in KINDS_OF_PHRASE[kind](view, _Habit(habit)):
            found.setdefault(text, (kind, meaning))
    return found


class _Habit(np.random.Generator):
    """Chances that always fall alike, so that the same is said in the same words on every frame."""

    def __init__(self, number: int) -> None:
        super().__init__(np.random.PCG64(number))
        self._number = number

    def integers(self, low: Any, *_: Any, **__: Any) -> Any:
        """The same of so many, always."""
        return self._number % low

    def permutation(self, x: Any, axis: int = 0) -> Any:
        """In their order, from another one on."""
        return np.roll(np.arange(x) if isinstance(x, int) else np.asarray(x), self._number, axis)
