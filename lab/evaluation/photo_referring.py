"""Masks of referring expressions on held-out photographs, by name and by kind of phrase."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from engines.protocols import Grounder
from lab.evaluation.metrics import Fit, Fits, Mean
from lab.training.language.expressions import Expression, generate_expressions
from lab.training.language.photo_facts import PhotoFacts
from lab.training.language.real_names import GARMENTS, NOUNS_OF
from lab.training.world.photo_samples import PhotoSampler, load_sampler
from lab.training.world.photo_views import PhotoView
from lab.training.world.photographs import Photograph
from streaming.vocabulary import (
    Answer,
    Clock,
    Frame,
    Keyframe,
    Mask,
    Query,
    QueryId,
    QueryKind,
    StreamId,
)

SPLIT: Final = "val"
COMMON_NAMES: Final = 10
CALIBRATION: Final = 80
"Photographs of the split, at most a fifth, that calibrate the presence threshold and are not asked about."
PAIR_KIND: Final = "clothing of two"
"Of two photographs side by side, each of a dressed person: only there clothes tell people apart."
_STREAM: Final = StreamId("photographs")


@dataclass(frozen=True, slots=True)
class PhotoReferringScore:
    """Figures over all phrases; all but counts and seconds are 0..1, NaN without cases."""

    photographs: int
    "With at least one phrase; pairs count as one."
    phrases: int
    common_names: Fit
    "Of the ten commonest names, each with equal weight."
    by_name: dict[str, Fit]
    'Of "the dog" and its like by category, the commonest first, where there is one of it.'
    by_kind: dict[str, Fit]
    "By kind of expression."
    wrongly_refused: float
    "Share of phrases about what is there that were answered as absent."
    absent_refused: float
    "Share of phrases about absent things that were answered as absent."
    absent_refused_by_kind: dict[str, float]
    ground_s: float
    "Mean time per photograph with all its phrases, seconds."


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """A photograph with phrases about it."""

    view: PhotoView
    expressions: tuple[Expression, ...]
    "Those of kind `name` are a category's plainest noun."


@dataclass(slots=True)
class _Tally:
    """Running figures."""

    by_name: defaultdict[str, Fits] = field(default_factory=lambda: defaultdict(Fits))
    by_kind: defaultdict[str, Fits] = field(default_factory=lambda: defaultdict(Fits))
    missed: Mean = field(default_factory=Mean)
    absent: defaultdict[str, Mean] = field(default_factory=lambda: defaultdict(Mean))
    ground_s: Mean = field(default_factory=Mean)

    def add(self, asked: Asked, expression: Expression, answer: Answer) -> None:
        """Add an answer."""
        refused = float(not answer.prompts)
        if not expression.referents:
            self.absent[expression.kind].add(refused)
            return
        self.missed.add(refused)
        found = _answered_mask(answer, asked.view.masks.shape[2:])
        true: Mask = asked.view.masks[0][list(expression.referents)].any(axis=0)
        self.by_kind[expression.kind].add(found, true)
        if expression.kind == "name":
            self.by_name[asked.view.labels[expression.referents[0]].category].add(found, true)


def score_photographs(grounder: Grounder, photographs: Iterable[Asked]) -> PhotoReferringScore:
    """Ask for all phrases of each photograph."""
    tally = _Tally()
    for asked in photographs:
        answered = ask_phrases(grounder, asked)
        for _, answer in answered[:1]:
            tally.ground_s.add(answer.ground_s)
        for expression, answer in answered:
            tally.add(asked, expression, answer)
    by_name = dict(sorted(((name, fits.fit) for name, fits in tally.by_name.items()), key=_commonness))
    return PhotoReferringScore(
        photographs=tally.ground_s.count,
        phrases=tally.missed.count + sum(mean.count for mean in tally.absent.values()),
        common_names=_mean_fit(list(by_name.values())[:COMMON_NAMES]),
        by_name=by_name,
        by_kind={kind: fits.fit for kind, fits in sorted(tally.by_kind.items())},
        wrongly_refused=tally.missed.value,
        absent_refused=_overall(tally.absent.values()),
        absent_refused_by_kind={kind: mean.value for kind, mean in sorted(tally.absent.items())},
        ground_s=tally.ground_s.value,
    )


def ask_phrases(grounder: Grounder, asked: Asked) -> list[tuple[Expression, Answer]]:
    """Return the phrases about a photograph with the grounder's answers."""
    return list(zip(asked.expressions, grounder.ground(_keyframe(asked)), strict=True))


def count_to_ask(folder: Path, limit: int) -> int:
    """Return how many `photographs_to_ask` yields at most."""
    count = len(_to_ask(load_sampler(folder, SPLIT), limit))
    return count + _pair_count(count)


def photographs_to_ask(folder: Path, limit: int) -> Iterator[Asked]:
    """Yield `limit` held-out photographs of a folder with phrases, the same ones each time; 0 for all.

    Beside them pairs of dressed people, a fifth as many; those of `photographs_to_calibrate` are left out.
    Raises NotFound where there are none.
    """
    sampler = load_sampler(folder, SPLIT)
    chosen = _to_ask(sampler, limit)
    yield from _whole_photographs(sampler, chosen)
    yield from _pairs(sampler, _pair_count(len(chosen)))


def photographs_to_calibrate(folder: Path) -> Iterator[Asked]:
    """Yield held-out photographs with phrases that no evaluation asks about: for the presence threshold."""
    sampler = load_sampler(folder, SPLIT)
    shuffled = _shuffled(sampler)
    yield from _whole_photographs(sampler, shuffled[len(shuffled) - _reserved(len(shuffled)) :])


def _shuffled(sampler: PhotoSampler) -> list[Photograph]:
    order = np.random.default_rng(0).permutation(len(sampler.photographs))
    return [sampler.photographs[index] for index in order]


def _to_ask(sampler: PhotoSampler, limit: int) -> list[Photograph]:
    shuffled = _shuffled(sampler)
    there = len(shuffled) - _reserved(len(shuffled))
    return shuffled[: min(limit, there) if limit else there]


def _reserved(photographs: int) -> int:
    return min(CALIBRATION, photographs // 5)


def _whole_photographs(sampler: PhotoSampler, photographs: Iterable[Photograph]) -> Iterator[Asked]:
    for number, photograph in enumerate(photographs):
        rng = np.random.default_rng((number, 9))
        view = sampler.whole(photograph, rng)
        if view is not None:
            yield from _asked(view, _phrases(view, rng))


def _pair_count(photographs: int) -> int:
    return max(photographs // 5, 1)


def _pairs(sampler: PhotoSampler, count: int) -> Iterator[Asked]:
    dressed = [each for each in _to_ask(sampler, 0) if each.labelled & set(GARMENTS)]
    for number, (left, right) in enumerate(zip(dressed[:count], reversed(dressed), strict=False)):
        rng = np.random.default_rng((number, 10))
        view = sampler.pair(left, right, rng) if left is not right else None
        if view is not None:
            clothing = [each for each in generate_expressions(view, 0, rng) if each.kind == "clothing"]
            yield from _asked(view, [Expression(each.text, PAIR_KIND, each.referents) for each in clothing])


def _asked(view: PhotoView, expressions: list[Expression]) -> Iterator[Asked]:
    if expressions:
        yield Asked(view, tuple(expressions))


def _phrases(view: PhotoView, rng: np.random.Generator) -> list[Expression]:
    """Return the plain names of what there is one of, then random phrases of every kind."""
    facts = PhotoFacts(view, 0, view.vocabulary.categories)
    nouns = {NOUNS_OF[view.labels[index].category][0] for index in facts.visible}
    names = [
        Expression(f"the {noun}", "name", found)
        for noun in sorted(nouns)
        if (found := facts.matching(noun, None)) is not None and len(found) == 1
    ]
    generated = {each.text: each for each in (*generate_expressions(view, 0, rng), *names)}
    return list(generated.values())


def _keyframe(asked: Asked) -> Keyframe:
    frame = Frame(_STREAM, 0, asked.view.frames[0], 0.0, 0.0, Clock.ARRIVAL)
    texts = [expression.text for expression in asked.expressions]
    queries = tuple(
        Query(QueryId(f"q{number}"), _STREAM, text, QueryKind.REFER) for number, text in enumerate(texts)
    )
    return Keyframe(frame, queries, 0.0)


def _answered_mask(answer: Answer, size: tuple[int, ...]) -> Mask:
    """Return the union of an answer's masks at (height, width)."""
    union: Mask = np.zeros(size, dtype=np.bool_)
    for logits in answer.logits:
        union |= cv2.resize(logits, (size[1], size[0]), interpolation=cv2.INTER_LINEAR) > 0
    return union


def _commonness(entry: tuple[str, Fit]) -> tuple[int, str]:
    return -entry[1].cases, entry[0]


def _mean_fit(fits: list[Fit]) -> Fit:
    if not fits:
        return Fits().fit
    means = [float(np.mean([getattr(fit, name) for fit in fits])) for name in ("j", "f", "j_and_f")]
    return Fit(sum(fit.cases for fit in fits), *means)


def _overall(means: Iterable[Mean]) -> float:
    joined = Mean()
    for mean in means:
        joined = Mean(joined.total + mean.total, joined.count + mean.count)
    return joined.value
