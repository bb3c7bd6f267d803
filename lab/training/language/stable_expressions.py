"""Expressions whose referents stay the same for a while: queries of a live stream, scored frame by frame."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from lab.training.language.expressions import EXPRESSION_KINDS, MAX_ABSENT_PER_KIND, Expression
from lab.training.language.frame_facts import FrameFacts, ObjectIndices
from lab.training.language.noun_phrases import Referents
from lab.training.scene_description import SceneDescription

_Candidates = dict[str, tuple[str, Referents]]
"By text: kind and referents."


def stable_expressions(scene: SceneDescription, frames: Sequence[int], variant: int) -> list[Expression]:
    """Generate all expressions of the first of `frames` that have no other referents on the others.

    A referent may be occluded or leave the image meanwhile and remains the referent. Of expressions without a
    referent, at most MAX_ABSENT_PER_KIND of each kind. `variant` (>= 0) chooses among the templates.
    """
    first, *later = (FrameFacts(scene, frame) for frame in frames)
    candidates_later = [(facts, _candidates(facts, variant)) for facts in later]
    found = []
    absent = Counter[str]()
    for text, (kind, referents) in _candidates(first, variant).items():
        if referents is None or (absent[kind] == MAX_ABSENT_PER_KIND and not referents):
            continue
        if all(_agrees(referents, then[text][1], facts) for facts, then in candidates_later if text in then):
            absent[kind] += not referents
            found.append(Expression(text, kind, referents))
    return found


def _agrees(referents: ObjectIndices, later: Referents, facts: FrameFacts) -> bool:
    """Whether later referents contradict nothing: the same, in doubt, or none while one is out of sight."""
    if later is None or later == referents:
        return True
    return later == () and not set(referents) <= set(facts.visible)


def _candidates(facts: FrameFacts, variant: int) -> _Candidates:
    found: _Candidates = {}
    for kind in dict.fromkeys(facts.vocabulary.expression_kinds):
        for text, referents in EXPRESSION_KINDS[kind](facts, _FixedChoice(variant)):
            found.setdefault(text, (kind, referents))
    return found


class _FixedChoice(np.random.Generator):
    """A generator whose choices depend on the range alone, so that every frame gets the same wording."""

    def __init__(self, variant: int) -> None:
        super().__init__(np.random.PCG64(variant))
        self._variant = variant

    def integers(self, low: Any, *_: Any, **__: Any) -> Any:
        """Return the variant modulo the range."""
        return self._variant % low

    def permutation(self, x: Any, axis: int = 0) -> Any:
        """Return the order given, rotated by the variant."""
        return np.roll(np.arange(x) if isinstance(x, int) else np.asarray(x), self._variant, axis)
