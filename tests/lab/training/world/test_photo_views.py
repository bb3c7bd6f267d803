"""Laws of views of photographs: everything is brought to the view, and so is everything unknown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from lab.training.world.photo_views import PhotoView, labelled_by_source, side_by_side, view_of
from lab.training.world.photographs import Photograph, load_photographs
from tests.photo_folder import BOXES, SIZE, edit_annotations, write_detections, write_photo_folder

WHOLE = np.array([[1.0, 0, 0], [0, 1.0, 0]])
DOG, CUP = BOXES


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_photo_folder(tmp_path / "photos")


def first(folder: Path) -> Photograph:
    return load_photographs(folder, "train")[1]  # image 0 has a crowd


def view(photograph: Photograph, transform: np.ndarray = WHOLE, size: tuple[int, int] = SIZE) -> PhotoView:
    found = view_of(photograph, transform, size, labelled_by_source([photograph]))
    assert found is not None
    return found


def test_a_whole_photograph_has_its_masks_boxes_and_names(folder: Path) -> None:
    found = view(first(folder))
    assert {label.category for label in found.labels} == {"dog", "cup"}
    dog = [label.category for label in found.labels].index("dog")
    x, y, width, height = DOG
    assert found.boxes_px[0, dog].tolist() == [x, y, x + width, y + height]
    assert np.count_nonzero(found.masks[0, dog]) == pytest.approx(width * height, rel=0.05)
    assert found.known == {"dog", "cup"} and not found.doubted
    assert found.frames.shape == (1, *SIZE, 3)


def test_a_crop_moves_masks_and_keeps_the_size_of_whole_objects(folder: Path) -> None:
    crop = np.array([[2.0, 0, -140], [0, 2.0, -80]])  # from x 70 on, y 40 on
    found = view(first(folder), crop, (100, 100))
    assert [label.category for label in found.labels] == ["dog"], "the cup is out of view"
    assert found.masks[0, 0].sum() == pytest.approx(80 * 100, rel=0.05)
    assert found.amodal_area_px[0, 0] == pytest.approx(4 * DOG[2] * DOG[3], rel=0.01)
    assert found.boxes_px[0, 0].tolist() == [-80, 0, 80, 180]


def test_a_mirrored_view_has_mirrored_boxes(folder: Path) -> None:
    mirror = np.array([[-1.0, 0, SIZE[1]], [0, 1.0, 0]])
    found = view(first(folder), mirror)
    dog = [label.category for label in found.labels].index("dog")
    x, y, width, height = DOG
    assert found.boxes_px[0, dog].tolist() == [SIZE[1] - x - width, y, SIZE[1] - x, y + height]


def test_a_detection_without_a_mask_is_doubt_where_it_is_in_view(folder: Path) -> None:
    boxes = [("car", 0.5, (200, 10, 30, 30)), ("cup", 0.9, CUP), ("dog", 0.2, (0, 0, 20, 20))]
    write_detections(folder, {1: boxes})
    found = view(first(folder))
    assert found.doubted == {"car"}, "the cup has its mask, and 0.2 is a low score"
    assert found.unlabelled[15:35, 205:225].all() and not found.unlabelled[100:, :].any()
    without = view(first(folder), WHOLE, (180, 150))
    assert not without.doubted and not without.unlabelled.any()


def test_a_name_that_was_taken_out_is_in_doubt_unless_a_detection_explains_it(folder: Path) -> None:
    def take_out(data: dict[str, Any]) -> None:
        data["images"][1]["labelled"] = ["cup"]

    edit_annotations(folder, take_out)
    photograph = first(folder)
    by_source = labelled_by_source(load_photographs(folder, "train"))
    found = view_of(photograph, WHOLE, SIZE, by_source)
    assert found is not None and found.doubted == {"dog"}
    write_detections(folder, {1: [("dog", 0.6, (205, 10, 30, 30))]})
    found = view_of(first(folder), WHOLE, (180, 150), by_source)
    assert found is not None and not found.doubted and "dog" in found.known


def test_crowds_and_ignored_regions_are_unlabelled(folder: Path) -> None:
    region = np.zeros(SIZE, np.uint8, order="F")
    region[120:170, 30:200] = 1
    encoded = coco_mask.encode(region)

    def ignore(data: dict[str, Any]) -> None:
        data["images"][1]["ignore"] = {"size": list(SIZE), "counts": encoded["counts"].decode()}

    edit_annotations(folder, ignore)
    found = view(first(folder))
    assert found.unlabelled[145:165, 40:190].all()
    assert {"dog", "cup", "car"} <= found.doubted
    crowd = view(load_photographs(folder, "train")[0])
    assert crowd.doubted == {"dog"}
    assert crowd.unlabelled[10:25, 10:25].all()
    assert not (crowd.unlabelled & crowd.masks[0].any(axis=0)).any()


def test_clothes_belong_to_the_person_they_lie_on_who_has_their_colour(folder: Path) -> None:
    def dress(data: dict[str, Any]) -> None:
        data["categories"] = [{"id": 18, "name": "person"}, {"id": 47, "name": "jacket"}]
        data["images"][1]["labelled"] = ["person", "jacket"]
        inside = {"bbox": (40, 50, 60, 60), "area": 3600}
        corners = [40, 50, 100, 50, 100, 110, 40, 110]
        for annotation in data["annotations"]:
            if annotation["image_id"] == 1 and annotation["category_id"] == 47:
                annotation.update(inside, segmentation=[corners])

    edit_annotations(folder, dress)
    found = view(first(folder))
    person, jacket = found.labels
    assert (person.category, jacket.category) == ("person", "jacket")
    assert found.wearers == (-1, 0)
    assert found.dressed == {0}
    assert person.colour == jacket.colour


def test_names_without_a_noun_are_left_out(folder: Path) -> None:
    def rename(data: dict[str, Any]) -> None:
        data["categories"] = [{"id": 18, "name": "skin"}, {"id": 47, "name": "airplane"}]

    edit_annotations(folder, rename)
    assert [label.category for label in view(first(folder)).labels] == ["plane"]


def test_of_two_views_side_by_side_only_the_common_is_known(folder: Path) -> None:
    write_detections(folder, {1: [("car", 0.5, (200, 10, 30, 30))]})
    one, other = (view(each) for each in load_photographs(folder, "train")[1:3])
    joined = side_by_side(one, other)
    assert joined.frames.shape == (1, SIZE[0], 2 * SIZE[1], 3)
    assert len(joined.labels) == 4
    assert joined.doubted == {"car"}
    assert joined.known == {"dog", "cup"}
    assert not joined.masks[0, 2:, :, : SIZE[1]].any() and not joined.masks[0, :2, :, SIZE[1] :].any()
    assert (joined.boxes_px[0, 2:, 0] >= SIZE[1]).all()
