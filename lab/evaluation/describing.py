"""Quality of a grounder's captions: whether phrases name visible objects, and whether masks fit them."""

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
from lab.evaluation.referring import mask_at_scene_size
from lab.training.language.frame_facts import FrameFacts, ObjectIndices
from streaming.vocabulary import Answer, Mask, QueryKind

GROUNDED_J: Final = 0.6
"A phrase is grounded if its mask has at least this J with objects that it names."
_INSTRUCTION: Final = "Describe what you see."
_PHRASE: Final = re.compile(r"<p>(.*?)</p>")


@dataclass(frozen=True, slots=True)
class DescribingScore:
    """Figures over captions, one per scene; shares are 0..1, NaN without cases."""

    captions: int
    phrases: int
    phrases_per_caption: float
    true: float
    "Share of phrases that name visible objects, in the right number."
    grounded: float
    f"Share of phrases whose mask has J >= {GROUNDED_J} with objects that they name."
    named: float
    "Share of the clearly visible objects that a phrase names."


def score_captions(grounder: Grounder, scenes: Iterable[Scene]) -> DescribingScore:
    """Ask for a caption of each scene."""
    per_caption, true, grounded, named = Mean(), Mean(), Mean(), Mean()
    for scene in scenes:
        facts = FrameFacts(scene.clip, scene.frame)
        (answer,) = grounder.ground(scene.keyframe([_INSTRUCTION], QueryKind.DESCRIBE))
        named_objects: set[int] = set()
        phrases = phrase_masks(answer, scene)
        per_caption.add(len(phrases))
        for phrase, mask in phrases:
            objects, j = _best_match(objects_named_by(phrase, facts), mask, scene)
            true.add(float(bool(objects)))
            grounded.add(float(j >= GROUNDED_J))
            named_objects.update(objects)
        for index in facts.visible:
            named.add(float(index in named_objects))
    return DescribingScore(
        captions=per_caption.count,
        phrases=true.count,
        phrases_per_caption=per_caption.value,
        true=true.value,
        grounded=grounded.value,
        named=named.value,
    )


def phrase_masks(answer: Answer, scene: Scene) -> list[tuple[str, Mask]]:
    """Return a caption's phrases with their masks (H, W) at the scene's size; missing masks are empty."""
    phrases = [match.strip() for match in _PHRASE.findall(answer.text)]
    masks = [mask_at_scene_size(logits, scene) for logits in answer.logits[: len(phrases)]]
    empty = np.zeros(scene.clip.masks.shape[2:], dtype=np.bool_)
    return list(zip(phrases, masks + [empty] * (len(phrases) - len(masks)), strict=True))


def _best_match(meanings: list[ObjectIndices], mask: Mask, scene: Scene) -> tuple[ObjectIndices, float]:
    """Return the possible meaning that the mask fits best, with its J; () and 0 without meanings."""
    fits = [(region_j(mask, scene.mask_of(objects)), objects) for objects in meanings]
    j, objects = max(fits, default=(0.0, ()))
    return objects, j
