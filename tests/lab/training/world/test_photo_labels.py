"""Dense labels of photographs: coverage of cells by names, and where it is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lab.training.world.photo_labels import PhotoLabeller, names_of
from lab.training.world.photographs import Photograph, load_photographs
from tests.photo_folder import BOXES, SIZE, write_photo_folder

GRID = 12


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Photograph, ...]:
    return load_photographs(write_photo_folder(tmp_path_factory.mktemp("photos")), "train")


def test_names_are_those_of_masks_and_of_labels(photographs: tuple[Photograph, ...]) -> None:
    assert names_of(photographs) == ("cup", "dog")
    assert names_of([replace(photographs[0], labelled=frozenset({"bird"}))]) == ("bird", "cup", "dog")


def test_cells_are_covered_where_the_objects_are(photographs: tuple[Photograph, ...]) -> None:
    labelled = PhotoLabeller(("cup", "dog"), 96, GRID).whole(photographs[:1])
    assert labelled.images.shape == (1, 96, 96, 3)
    for name, (x, y, width, height) in zip((1, 0), BOXES, strict=True):
        expected = np.zeros(SIZE)
        expected[y : y + height, x : x + width] = 1
        share = width * height / expected.size
        coverage = labelled.coverage[0, name].numpy()
        assert coverage.mean() == pytest.approx(share, abs=0.01)
        centre = (int((y + height / 2) / SIZE[0] * GRID), int((x + width / 2) / SIZE[1] * GRID))
        assert coverage[centre] > 0.98
    assert bool(labelled.known[:, 0].all())


def test_a_name_that_is_not_labelled_everywhere_is_known_on_its_masks_only(
    photographs: tuple[Photograph, ...],
) -> None:
    partly = replace(photographs[0], labelled=frozenset({"cup"}))
    labelled = PhotoLabeller(("cup", "dog"), 96, GRID).whole([partly])
    assert bool(labelled.known[0, 0].all())
    known = labelled.known[0, 1]
    assert 0 < known.float().mean() < 0.3 and bool((labelled.coverage[0, 1][known] > 0.5).all())


def test_nothing_is_known_in_crowds_of_a_name_and_in_regions_to_ignore(
    photographs: tuple[Photograph, ...],
) -> None:
    (first, *_) = photographs
    assert first.crowds  # of dogs, over the left and upper part
    labeller = PhotoLabeller(("cup", "dog"), 96, GRID)
    known = labeller.whole([first]).known[0]
    assert bool(known[0].all()) and not known[1, 0, 0] and known[1, -1, -1]
    ignored = replace(first, crowds=(), ignore=first.masks[0].segmentation)
    known = labeller.whole([ignored]).known[0]
    x, y, width, height = BOXES[0]
    centre = (int((y + height / 2) / SIZE[0] * GRID), int((x + width / 2) / SIZE[1] * GRID))
    assert not known[:, centre[0], centre[1]].any() and known[:, -1, -1].all()


def test_random_crops_move_masks_with_their_pixels(tmp_path: Path) -> None:
    (photograph, *_) = load_photographs(write_photo_folder(tmp_path), "train")
    labeller = PhotoLabeller(("cup", "dog"), 120, GRID)
    rng = np.random.default_rng(3)
    compared = 0
    for _ in range(10):
        one = labeller.augmented([photograph], rng)
        cells = one.images[0].reshape(GRID, 10, GRID, 10, 3).std(axis=(1, 3)).mean(axis=2)
        inside = one.coverage[0].amax(dim=0).numpy() > 0.99  # objects have one colour, the ground is noise
        outside = one.coverage[0].sum(dim=0).numpy() == 0
        if inside.any() and outside.any():
            compared += 1
            assert cells[inside].mean() < 0.6 * cells[outside].mean()
    assert compared >= 5


def test_mosaics_show_several_photographs_and_their_labels_in_place(tmp_path: Path) -> None:
    (photograph, *_) = load_photographs(write_photo_folder(tmp_path), "train")
    uncut = replace(photograph, crowds=(), ignore=None)
    blank = replace(uncut, masks=(), labelled=frozenset())
    labeller = PhotoLabeller(("cup", "dog"), 120, GRID)
    mosaics = []
    for seed in range(40):
        labelled = labeller.augmented([uncut, blank], np.random.default_rng(seed))
        known = labelled.known[0].all(dim=0)
        if bool(known.any()) and not bool(known.all()):  # tiles of the blank one have no labels at all
            mosaics.append(labelled)
            assert not labelled.coverage[0, :, ~known].any()
    assert 4 <= len(mosaics) <= 20
