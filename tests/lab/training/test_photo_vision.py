"""Stage `vision` on photographs: what it trains, exports and resumes, and its losses."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from engines.grounding.model import SaModel
from lab.training.initial_weights import VISION_TOWER, initial_grounder
from lab.training.nano_config import PATCH_GRID, VISION_SIDE_PX
from lab.training.photo_vision import (
    TEACHER_FILE,
    PhotoVisionConfig,
    TowerState,
    VisionBatch,
    VisionHeads,
    export_vision,
    load_vision,
    name_weights,
    names_loss,
    tower_maps,
    train_photo_vision,
    validate,
)
from lab.training.trainer import LogEntry
from lab.training.world.photographs import load_photographs
from streaming.errors import NotFound
from tests.detector_file import write_detector
from tests.photo_folder import write_photo_folder


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    folder = write_photo_folder(tmp_path_factory.mktemp("photos"))
    write_detector(folder / TEACHER_FILE)
    return folder


@pytest.fixture(scope="module")
def model() -> SaModel:
    return initial_grounder(1).model


def config(photos: Path, directory: Path, budget_s: float) -> PhotoVisionConfig:
    return PhotoVisionConfig(
        directory, budget_s=budget_s, photos=photos, images=2, export=directory / "out", log_steps=1
    )


def test_a_run_is_resumed_and_exports_tower_and_heads(photos: Path, tmp_path: Path) -> None:
    entries: list[LogEntry] = []
    train_photo_vision(config(photos, tmp_path, 0.01), entries.append)
    spent_s = torch.load(tmp_path / "last.pt", weights_only=True)["spent_s"]
    train_photo_vision(config(photos, tmp_path, spent_s + 0.01), entries.append)
    assert [entry["step"] for entry in entries] == [1, 2]
    assert all(entry["loss"] > 0 for entry in entries)
    exported = load_file(tmp_path / "out" / "vision.safetensors")
    assert {name.startswith(VISION_TOWER) for name in exported} == {True, False}
    assert {weight.dtype for weight in exported.values()} == {torch.float16}


def test_a_run_starts_from_an_exported_tower_and_its_heads(
    photos: Path, tmp_path: Path, model: SaModel
) -> None:
    heads = VisionHeads(2)
    export_vision(TowerState(model), heads, tmp_path)
    other, others = initial_grounder(2).model, VisionHeads(2)
    load_vision(TowerState(other), others, tmp_path)
    for mine, its in ((TowerState(model), TowerState(other)), (heads, others)):
        for name, weight in mine.state_dict().items():
            assert torch.allclose(weight.float(), its.state_dict()[name].float(), atol=1e-3), name
    of_more_names = VisionHeads(3)
    before = of_more_names.names.weight.clone()
    load_vision(TowerState(other), of_more_names, tmp_path)
    assert torch.equal(of_more_names.names.weight, before), "heads of other names stay as they are"
    with pytest.raises(NotFound, match="--stage vision"):
        load_vision(TowerState(other), heads, tmp_path / "elsewhere")


def test_maps_are_of_strides_8_16_and_16(model: SaModel) -> None:
    maps = tower_maps(model, torch.zeros(1, 3, VISION_SIDE_PX, VISION_SIDE_PX))
    assert [level.shape[-1] for level in maps] == [2 * PATCH_GRID, PATCH_GRID, PATCH_GRID]


def test_unknown_cells_do_not_count() -> None:
    logits = torch.randn(1, 2, 4, 4)
    coverage = torch.zeros(1, 2, 4, 4)
    coverage[:, 0, :2] = 1
    known = torch.ones(1, 2, 4, 4, dtype=torch.bool)
    known[:, 1] = False

    def loss(logits: torch.Tensor) -> float:
        batch = VisionBatch(torch.empty(0), coverage, known, None)  # type: ignore[arg-type]
        return float(names_loss(logits, batch, torch.ones(2)))

    changed = logits.clone()
    changed[:, 1] += 5
    assert loss(changed) == pytest.approx(loss(logits))
    changed[:, 0, :2] -= 5
    assert loss(changed) > loss(logits)


def test_a_rare_name_weighs_more(photos: Path) -> None:
    photographs = load_photographs(photos, "train")
    weights = name_weights(photographs, ("cup", "dog", "bird"))
    cup, dog, bird = weights.tolist()  # dogs cover most, birds nothing
    assert dog == 1 < cup < bird < 5


def test_validation_scores_the_names_of_split_val(
    photos: Path, model: SaModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lab.training.photo_vision.MIN_MASKS", 1)
    figures = validate(model, VisionHeads(2), photos)
    assert set(figures) == {"held_out_iou", "iou cup", "iou dog"}
    assert all(0 <= value <= 1 for value in figures.values())


def test_without_a_teacher_its_path_is_named(tmp_path: Path) -> None:
    photos = write_photo_folder(tmp_path / "photos")
    with pytest.raises(NotFound, match=r"yolox_nano\.onnx"):
        train_photo_vision(config(photos, tmp_path / "run", 10.0), lambda _: None)
