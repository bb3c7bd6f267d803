"""The teacher's maps: one of features and one of scores for each stride."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from lab.training.detector_teacher import CHANNELS, CLASSES, STRIDES, DetectorTeacher
from streaming.errors import NotFound
from tests.detector_file import write_detector


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> DetectorTeacher:
    return DetectorTeacher(write_detector(tmp_path_factory.mktemp("teacher") / "detector.onnx"))


def test_each_stride_has_maps_of_its_size(teacher: DetectorTeacher) -> None:
    maps = teacher.look_at(np.zeros((2, 96, 96, 3), np.uint8))
    sides = [416 // stride for stride in STRIDES]
    assert [tuple(level.shape) for level in maps.features] == [
        (2, channels, side, side) for channels, side in zip(CHANNELS, sides, strict=True)
    ]
    assert [tuple(level.shape) for level in maps.scores] == [(2, CLASSES, side, side) for side in sides]
    assert all(level.min() >= 0 and level.max() <= 1 for level in maps.scores)


def test_a_cell_of_the_maps_is_of_its_place_in_the_image(teacher: DetectorTeacher) -> None:
    image = np.zeros((1, 416, 416, 3), np.uint8)
    changed = image.copy()
    changed[0, 64:96, 320:352] = 255  # one cell of stride 32, in row 2 and column 10
    pairs = zip(teacher.look_at(image).scores, teacher.look_at(changed).scores, strict=True)
    for stride, (before, after) in zip(STRIDES, pairs, strict=True):
        cells = (before != after).any(dim=1)[0].nonzero()
        assert cells.shape[0] == (32 // stride) ** 2
        assert torch.equal(cells[0], torch.tensor([64, 320]) // stride)


def test_colours_are_passed_in_the_order_of_the_detector(teacher: DetectorTeacher) -> None:
    red, blue = np.zeros((2, 1, 416, 416, 3), np.uint8)
    red[..., 0], blue[..., 2] = 255, 255
    assert not torch.equal(teacher.look_at(red).features[0], teacher.look_at(blue).features[0])


def test_a_missing_file_is_an_error_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="nowhere"):
        DetectorTeacher(tmp_path / "nowhere.onnx")
