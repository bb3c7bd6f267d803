"""Laws of the referring score: a grounder that knows the truth, one that refuses, one that always points."""

from __future__ import annotations

import numpy as np

from engines.evaluation.referring import SIZE, answered_mask, ask_everything, score_grounder
from engines.protocols import Grounder
from engines.training.language.expressions import expressions
from engines.training.world.holdout import HELD_OUT_SEED
from engines.training.world.scenes import draw_clip
from streaming.vocabulary import Answer, Keyframe, Prompt, Query, QueryId, StreamId

SEED = HELD_OUT_SEED + 5


def _answer(query: Query, logits: np.ndarray[tuple[int, int], np.dtype[np.float32]] | None) -> Answer:
    prompt = Prompt(query.text, np.zeros(4, dtype=np.float32), 1.0)
    return Answer(
        query.stream_id,
        query.query_id,
        query.revision,
        keyframe_index=0,
        text="",
        prompts=() if logits is None else (prompt,),
        logits=np.zeros((0, 4, 4), dtype=np.float32) if logits is None else logits[None],
        ground_s=0.25,
    )


class Knowing:
    """Reads the answers from the scene that it is asked about."""

    def ground(self, keyframe: Keyframe) -> list[Answer]:
        clip = draw_clip(SEED, frames=1, size=SIZE)
        truth = {e.text: e.targets for e in expressions(clip, 0, np.random.default_rng((SEED, 2)))}
        meant = [list(truth[query.text]) for query in keyframe.queries]
        return [
            _answer(query, clip.masks[0][indices].any(axis=0).astype(np.float32) if indices else None)
            for query, indices in zip(keyframe.queries, meant, strict=True)
        ]


class Refusing:
    """Sees nothing, ever."""

    def ground(self, keyframe: Keyframe) -> list[Answer]:
        return [_answer(query, None) for query in keyframe.queries]


class Pointing:
    """Always means the whole picture."""

    def ground(self, keyframe: Keyframe) -> list[Answer]:
        return [_answer(query, np.ones((64, 64), dtype=np.float32)) for query in keyframe.queries]


def test_who_knows_everything_scores_one() -> None:
    knowing: Grounder = Knowing()
    score = score_grounder(knowing, scenes=1, first_seed=SEED)
    assert score.j == 1.0
    assert set(score.j_by_kind.values()) == {1.0}
    assert (score.at_half, score.wrongly_refused, score.absent_refused) == (1.0, 0.0, 1.0)
    assert score.ground_s == 0.25


def test_a_refusal_of_what_is_there_counts_nothing() -> None:
    score = score_grounder(Refusing(), scenes=3)
    assert (score.j, score.wrongly_refused, score.absent_refused) == (0.0, 1.0, 1.0)


def test_pointing_at_everything_is_not_rewarded() -> None:
    score = score_grounder(Pointing(), scenes=3)
    assert 0.0 < score.j < 0.3
    assert score.absent_refused == 0.0


def test_everything_that_can_be_said_is_asked() -> None:
    _, answered = ask_everything(Refusing(), SEED)
    assert {expression.kind for expression, _ in answered} >= {"both", "absent"}


def test_an_answer_of_two_masks_means_both() -> None:
    left = np.full((4, 4), -1.0, dtype=np.float32)
    right = left.copy()
    left[:, :1], right[:, 3:] = 1.0, 1.0
    answer = Answer(StreamId("s"), QueryId("q"), 1, 0, "", (), np.stack([left, right]))
    both = answered_mask(answer, (8, 8))
    assert both[:, 0].all()
    assert both[:, 7].all()
    assert not both[:, 4].any()
