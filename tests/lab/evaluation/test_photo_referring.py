"""Scores of referring expressions on photographs: exact masks, refusals, the same phrases every time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from lab.evaluation.photo_referring import (
    Asked,
    count_to_ask,
    photographs_to_ask,
    photographs_to_calibrate,
    score_photographs,
)
from streaming.errors import NotFound
from streaming.vocabulary import Mask, Query
from tests.photo_folder import SIZE, write_photo_folder
from tests.scripted_grounder import ScriptedGrounder, refuse


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_photo_folder(tmp_path_factory.mktemp("photos"), images=12)


@pytest.fixture(scope="module")
def asked(folder: Path) -> list[Asked]:
    return list(photographs_to_ask(folder, 0))


def exact_grounder(asked: Sequence[Asked]) -> ScriptedGrounder:
    """Return a grounder that answers with the ground truth, asked about one photograph after another."""
    photographs = iter(asked)
    current: list[Asked] = []

    def answer(query: Query) -> tuple[str, Sequence[Mask]]:
        if query.query_id == "q0":
            current[:] = [next(photographs)]
        expression = current[0].expressions[int(query.query_id[1:])]
        assert expression.text == query.text
        masks = current[0].view.masks[0]
        return "", [masks[list(expression.referents)].any(axis=0)] if expression.referents else ()

    return ScriptedGrounder(answer)


def test_exact_masks_score_one_by_name_and_by_kind(asked: list[Asked]) -> None:
    score = score_photographs(exact_grounder(asked), asked)
    assert set(score.by_name) == {"dog", "cup"}
    assert {"name", "kind", "place", "plural"} <= set(score.by_kind)
    fits = (score.common_names, *score.by_name.values(), *score.by_kind.values())
    assert {round(fit.j_and_f, 3) for fit in fits} == {1.0}
    assert (score.wrongly_refused, score.photographs) == (0.0, len(asked))


def test_refusals_are_counted_for_what_is_there(asked: list[Asked]) -> None:
    score = score_photographs(ScriptedGrounder(refuse), asked)
    assert score.wrongly_refused == 1.0
    assert score.common_names.j == 0.0
    assert score.phrases == sum(len(each.expressions) for each in asked)


def test_the_same_phrases_are_asked_each_time(folder: Path, asked: list[Asked]) -> None:
    again = list(photographs_to_ask(folder, 0))
    assert [each.expressions for each in again] == [each.expressions for each in asked]
    assert len(asked) <= count_to_ask(folder, 0)


def test_a_limit_takes_the_first_of_the_same_photographs(folder: Path, asked: list[Asked]) -> None:
    limited = list(photographs_to_ask(folder, 2))
    assert len(limited) == 2 < len(asked)
    assert [each.expressions for each in limited] == [each.expressions for each in asked[:2]]


def test_names_are_of_single_objects_of_their_category(asked: list[Asked]) -> None:
    for each in asked:
        for expression in each.expressions:
            if expression.kind == "name":
                (index,) = expression.referents
                assert expression.text == f"the {each.view.labels[index].category}"


def test_a_folder_without_photographs_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        count_to_ask(tmp_path, 0)


def test_a_fifth_of_the_photographs_is_kept_for_calibration(tmp_path: Path) -> None:
    folder = write_photo_folder(tmp_path, images=40)
    kept = list(photographs_to_calibrate(folder))
    asked = [each for each in photographs_to_ask(folder, 0) if each.view.frames.shape[2] == SIZE[1]]
    assert (len(kept), len(asked)) == (2, 8)
    pictures = {each.view.frames.tobytes() for each in (*kept, *asked)}
    assert len(pictures) == 10
