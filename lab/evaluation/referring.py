"""How well a grounder understands words: held-out scenes, through the verb that the service uses."""

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
    """Figures over every phrase that was asked; all but counts and seconds are 0..1, NaN of no case."""

    scenes: int
    "Of which anything could be said."
    phrases: int
    "Those about what is not there included."
    overall: Fit
    "Over phrases about things that are there; a refusal fits nothing."
    by_kind: dict[str, Fit]
    "The same by kind of expression."
    wrongly_refused: float
    "Share of them answered with no such thing."
    absent_refused: float
    "Share of phrases about what is not there that were answered so."
    ground_s: float
    "Mean time per keyframe, all its phrases together, seconds."


def score_grounder(grounder: Grounder, scenes: Iterable[Scene]) -> ReferringScore:
    """Ask for everything that can be said of scenes."""
    overall, by_kind = Fits(), defaultdict[str, Fits](Fits)
    refused, absent, took = Mean(), Mean(), Mean()
    for scene in scenes:
        answered = ask_all_expressions(grounder, scene)
        for _, answer in answered[:1]:
            took.add(answer.ground_s)
        for expression, answer in answered:
            if not expression.referents:
                absent.add(float(not answer.prompts))
                continue
            refused.add(float(not answer.prompts))
            found, meant = answered_mask(answer, scene), scene.mask_of(expression.referents)
            overall.add(found, meant)
            by_kind[expression.kind].add(found, meant)
    return ReferringScore(
        scenes=took.count,
        phrases=refused.count + absent.count,
        overall=overall.fit,
        by_kind={kind: fits.fit for kind, fits in sorted(by_kind.items())},
        wrongly_refused=refused.value,
        absent_refused=absent.value,
        ground_s=took.value,
    )


def ask_all_expressions(grounder: Grounder, scene: Scene) -> list[tuple[Expression, Answer]]:
    """A grounder's answers to everything that can be said of a scene."""
    said = generate_expressions(scene.clip, scene.frame, np.random.default_rng((scene.clip.seed, 2)))
    keyframe = scene.keyframe([one.text for one in said], QueryKind.REFER)
    return list(zip(said, grounder.ground(keyframe), strict=True))


def answered_mask(answer: Answer, scene: Scene) -> Mask:
    """Union of an answer's masks, at the size of the scene's picture."""
    union = np.zeros(scene.clip.masks.shape[2:], dtype=np.bool_)
    for logits in answer.logits:
        union |= at_size_of(logits, scene)
    return union


def at_size_of(logits: Logits, scene: Scene) -> Mask:
    """One mask of an answer, at the size of the scene's picture."""
    height, width = scene.clip.masks.shape[2:]
    mask: Mask = cv2.resize(logits, (width, height), interpolation=cv2.INTER_LINEAR) > 0
    return mask
