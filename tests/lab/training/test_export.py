"""What training writes, the product loads."""

from __future__ import annotations

from pathlib import Path

import torch

from engines.grounding.checkpoints import WEIGHTS_FILE, load_sa2va
from engines.tracking.checkpoints import load_tracker_weights
from lab.training.export import save_sa2va, save_tracker
from lab.training.initial_weights import initial_grounder, initial_tracker


def test_a_saved_grounder_loads_and_saves_bit_for_bit(tmp_path: Path) -> None:
    once, again = tmp_path / "once", tmp_path / "again"
    save_sa2va(initial_grounder(4), once)
    save_sa2va(load_sa2va(once), again)
    for name in ("config.json", "tokenizer.json", WEIGHTS_FILE):
        assert (again / name).read_bytes() == (once / name).read_bytes(), name


def test_a_saved_tracker_is_loaded_with_float16_rounding(tmp_path: Path) -> None:
    save_tracker(initial_tracker(1), tmp_path)
    loaded = load_tracker_weights(tmp_path).model.state_dict()
    for name, tensor in initial_tracker(1).state_dict().items():
        assert torch.equal(loaded[name], tensor.half().float()), name


def test_files_replace_older_ones_and_others_may_read_them(tmp_path: Path) -> None:
    for seed in (1, 2):
        save_tracker(initial_tracker(seed), tmp_path)
        save_sa2va(initial_grounder(seed), tmp_path / "sa2va")
    for folder, names in (
        (tmp_path, {"config.json", WEIGHTS_FILE, "sa2va"}),
        (tmp_path / "sa2va", {"config.json", "tokenizer.json", WEIGHTS_FILE}),
    ):
        assert {path.name for path in folder.iterdir()} == names
        assert (folder / WEIGHTS_FILE).stat().st_mode & 0o777 == 0o644
