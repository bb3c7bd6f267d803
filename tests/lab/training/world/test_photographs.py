"""Photographs in COCO's format: splits, names, both encodings of masks, and clear errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.training.world.photographs import borders_touched, load_photographs
from streaming.errors import NotFound
from tests.photo_folder import BOXES, SIZE, write_photo_folder


def test_a_split_has_its_images_alone(tmp_path: Path) -> None:
    folder = write_photo_folder(tmp_path)
    assert [photo.path.stem for photo in load_photographs(folder, "train")] == ["0", "1", "2"]
    assert [photo.path.stem for photo in load_photographs(folder, "val")] == ["3"]


def test_masks_of_polygons_and_of_run_lengths_cover_their_boxes(tmp_path: Path) -> None:
    photo = load_photographs(write_photo_folder(tmp_path), "train")[0]
    assert photo.read().shape == (*SIZE, 3)
    for annotation, (x, y, width, height) in zip(photo.masks, BOXES, strict=True):
        mask = photo.read_mask(annotation)
        assert mask.shape == SIZE and mask.sum() == mask[y : y + height, x : x + width].sum()
        assert mask.sum() == pytest.approx(width * height, rel=0.03)


def test_names_are_those_of_the_categories_and_crowds_are_left_out(tmp_path: Path) -> None:
    photo = load_photographs(write_photo_folder(tmp_path), "train")[0]
    assert [annotation.category for annotation in photo.masks] == ["dog", "cup"]
    assert photo.labelled == {"dog", "cup"}


def test_an_object_at_a_corner_touches_two_borders(tmp_path: Path) -> None:
    photo = load_photographs(write_photo_folder(tmp_path), "train")[0]
    assert borders_touched(photo.masks[0], SIZE) == 0
    assert borders_touched(photo.masks[0], (130, 110)) == 2


def test_a_folder_without_annotations_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"annotations\.json"):
        load_photographs(tmp_path, "train")


def test_an_image_that_is_gone_is_named(tmp_path: Path) -> None:
    photo = load_photographs(write_photo_folder(tmp_path), "train")[0]
    photo.path.unlink()
    with pytest.raises(NotFound, match=r"0\.png"):
        photo.read()
