"""Laws of cut-outs in views of photographs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lab.training.language.expressions import generate_expressions
from lab.training.world.photo_pasting import CutOutShelf
from lab.training.world.photo_samples import PhotoSampler
from lab.training.world.photo_views import PhotoView, with_nouns
from lab.training.world.photographs import Photograph, load_photographs
from tests.photo_folder import write_photo_folder


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Photograph, ...]:
    folder: Path = write_photo_folder(tmp_path_factory.mktemp("photos"))
    return load_photographs(folder, "train")


@pytest.fixture(scope="module")
def view(photographs: tuple[Photograph, ...]) -> PhotoView:
    found = PhotoSampler(photographs).whole(photographs[1], np.random.default_rng(0))
    assert found is not None
    return found


def test_a_cut_out_is_one_more_object_in_front(photographs: tuple[Photograph, ...], view: PhotoView) -> None:
    shelf = CutOutShelf(photographs)
    for seed in range(10):
        pasted = shelf.paste_some(view, np.random.default_rng(seed))
        count = len(pasted.labels)
        assert 3 <= count <= 5
        assert len(pasted.instance) == len(pasted.excluded_colours) == len(pasted.wearers) == count
        assert pasted.masks.shape[1] == pasted.boxes_px.shape[1] == pasted.occluded_px.shape[2] == count
        assert pasted.masks.sum(axis=1).max() == 1, "no pixel is of two objects"
        assert all(label.category in {"dog", "cup"} for label in pasted.labels)
        changed = (pasted.frames != view.frames).any(axis=(0, 3))
        assert changed[pasted.masks[0, 2:].any(axis=0)].mean() > 0.9
        x0, y0, x1, y1 = pasted.boxes_px[0, -1]
        rows, columns = np.nonzero(pasted.masks[0, -1])
        assert x0 <= columns.min() <= columns.max() < x1 and y0 <= rows.min() <= rows.max() < y1


def test_only_names_that_are_known_and_not_doubted_are_added(
    photographs: tuple[Photograph, ...], view: PhotoView
) -> None:
    shelf, rng = CutOutShelf(photographs), np.random.default_rng(0)
    doubted = replace(view, doubted=frozenset(("dog", "cup")))
    assert shelf.paste_some(doubted, rng) is doubted
    only_cups = replace(view, known=frozenset(("cup",)))
    assert all(label.category == "cup" for label in shelf.paste_some(only_cups, rng).labels[2:])


def test_things_of_one_name_are_told_apart_by_size_and_place(
    photographs: tuple[Photograph, ...], view: PhotoView
) -> None:
    kinds = set()
    for seed in range(20):
        rng = np.random.default_rng(seed)
        pasted = with_nouns(CutOutShelf(photographs).paste_some(view, rng), ("dog", "cup"))
        kinds |= {each.kind for each in generate_expressions(pasted, 0, rng) if each.referents}
    assert {"size", "place", "ordinal", "relation", "plural"} <= kinds
