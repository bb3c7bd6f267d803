"""Quality of a grounder's masks of referring expressions on held-out scenes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

from engines.protocols import Grounder
from lab.evaluation.held_out import Scene
from lab.evaluation.metrics import Fit, Fits, Mean
from lab.training.language.expressions import Expression, generate_expressions
from streaming.vocabulary import Answer, Logits, Mask, QueryKind


@dataclass(frozen=True, slots=True)
class ReferringScore:
    """Figures over all expressions; all but counts and seconds are 0..1, NaN without cases."""

    scenes: int
    "Scenes with at least one expression."
    phrases: int
    "Expressions, those about absent objects included."
    overall: Fit
    "Over expressions about present objects; a report of absence is an empty mask."
    by_kind: dict[str, Fit]
    "The same by kind of expression."
    wrongly_refused: float
    "Share of expressions about present objects that were answered as absent."
    absent_refused: float
    "Share of expressions about absent objects that were answered as absent."
    ground_s: float
    "Mean time per keyframe with all its expressions, seconds."


def score_grounder(grounder: Grounder, scenes: Iterable[Scene]) -> ReferringScore:
    """Ask for all expressions of each scene."""
    overall, by_kind = Fits(), defaultdict[str, Fits](Fits)
    missed, absent, ground_s = Mean(), Mean(), Mean()
    for scene in scenes:
        answered = ask_all_expressions(grounder, scene)
        for _, answer in answered[:1]:
            ground_s.add(answer.ground_s)
        for expression, answer in answered:
            if not expression.referents:
                absent.add(float(not answer.prompts))
                continue
            missed.add(float(not answer.prompts))
            found, true = answered_mask(answer, scene), scene.mask_of(expression.referents)
            overall.add(found, true)
            by_kind[expression.kind].add(found, true)
    return ReferringScore(
        scenes=ground_s.count,
        phrases=missed.count + absent.count,
        overall=overall.fit,
        by_kind={kind: fits.fit for kind, fits in sorted(by_kind.items())},
        wrongly_refused=missed.value,
        absent_refused=absent.value,
        ground_s=ground_s.value,
    )


def ask_all_expressions(grounder: Grounder, scene: Scene) -> list[tuple[Expression, Answer]]:
    """Return all expressions of a scene with the grounder's answers."""
    expressions = generate_expressions(scene.clip, scene.frame, np.random.default_rng((scene.clip.seed, 2)))
    keyframe = scene.keyframe([expression.text for expression in expressions], QueryKind.REFER)
    return list(zip(expressions, grounder.ground(keyframe), strict=True))


def answered_mask(answer: Answer, scene: Scene) -> Mask:
    """Return the union of an answer's masks, (H, W) bool at the scene's size."""
    union = np.zeros(scene.clip.masks.shape[2:], dtype=np.bool_)
    for logits in answer.logits:
        union |= mask_at_scene_size(logits, scene)
    return union


def mask_at_scene_size(logits: Logits, scene: Scene) -> Mask:
    """Resize logits (h, w) to the scene's size and threshold them at 0: (H, W) bool."""
    height, width = scene.clip.masks.shape[2:]
    mask: Mask = cv2.resize(logits, (width, height), interpolation=cv2.INTER_LINEAR) > 0
    return mask
