"""How well a grounder describes: whether a caption's phrases are true, and their masks on what they name."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

from engines.protocols import Grounder
from lab.evaluation.held_out import Scene
from lab.evaluation.metrics import Mean, region_j
from lab.evaluation.phrases import objects_named_by
from lab.evaluation.referring import at_size_of
from lab.training.language.frame_facts import FrameFacts, ObjectIndices
from streaming.vocabulary import Answer, Mask, QueryKind

GROUNDED_J: Final = 0.6
"A phrase is grounded where its mask fits what it names so well."
_ASKED: Final = "Describe what you see."
_PHRASE: Final = re.compile(r"<p>(.*?)</p>")


@dataclass(frozen=True, slots=True)
class DescribingScore:
    """Figures over captions, one to a scene; shares are 0..1, NaN of no case."""

    captions: int
    phrases: int
    phrases_per_caption: float
    true: float
    "Share of phrases that name something there, in the right number."
    grounded: float
    f"Share of phrases whose mask fits what they name with J >= {GROUNDED_J}: true ones, that is."
    named: float
    "Share of the things clearly seen that some phrase names."


def score_captions(grounder: Grounder, scenes: Iterable[Scene]) -> DescribingScore:
    """Have scenes described, one caption each."""
    spoken, true, grounded, named = Mean(), Mean(), Mean(), Mean()
    for scene in scenes:
        view = FrameFacts(scene.clip, scene.frame)
        (answer,) = grounder.ground(scene.keyframe([_ASKED], QueryKind.DESCRIBE))
        spoken_of: set[int] = set()
        phrases = phrase_masks(answer, scene)
        spoken.add(len(phrases))
        for phrase, mask in phrases:
            things, j = _best(objects_named_by(phrase, view), mask, scene)
            true.add(float(bool(things)))
            grounded.add(float(j >= GROUNDED_J))
            spoken_of.update(things)
        for index in view.visible:
            named.add(float(index in spoken_of))
    return DescribingScore(
        captions=spoken.count,
        phrases=true.count,
        phrases_per_caption=spoken.value,
        true=true.value,
        grounded=grounded.value,
        named=named.value,
    )


def phrase_masks(answer: Answer, scene: Scene) -> list[tuple[str, Mask]]:
    """Phrases of a caption with their masks; one that was given no mask points at nothing."""
    phrases = [match.strip() for match in _PHRASE.findall(answer.text)]
    masks = [at_size_of(logits, scene) for logits in answer.logits[: len(phrases)]]
    nothing = np.zeros(scene.clip.masks.shape[2:], dtype=np.bool_)
    return list(zip(phrases, masks + [nothing] * (len(phrases) - len(masks)), strict=True))


def _best(meanings: list[ObjectIndices], mask: Mask, scene: Scene) -> tuple[ObjectIndices, float]:
    """Of what a phrase could mean what its mask fits best, and its J; () and 0 where it means nothing."""
    fits = [(region_j(mask, scene.mask_of(things)), things) for things in meanings]
    j, things = max(fits, default=(0.0, ()))
    return things, j
