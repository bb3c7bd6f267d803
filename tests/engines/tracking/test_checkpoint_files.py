"""The files of a checkpoint, and their digest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engines.tracking.checkpoint_files import (
    CONFIG_FILE,
    INDEX_FILE,
    INSIDE_SA2VA,
    NANO_DIR,
    SA2VA_TYPE,
    WEIGHTS_FILE,
    CheckpointFiles,
    checkpoint_files,
    digest_of,
)
from streaming.errors import CheckpointError, NotFound


def folder(at: Path, model_type: str = "sam2_video", **weight_map: str) -> Path:
    """Write a checkpoint without tensors: one file, or an index of several (`__` stands for a dot)."""
    (at / CONFIG_FILE).write_text(json.dumps({"model_type": model_type}))
    if weight_map:
        named = {name.replace("__", "."): shard for name, shard in weight_map.items()}
        (at / INDEX_FILE).write_text(json.dumps({"weight_map": named}))
    else:
        (at / WEIGHTS_FILE).touch()
    return at


def test_nano_is_bundled_and_a_folder_is_used_as_given(tmp_path: Path) -> None:
    nano = CheckpointFiles((NANO_DIR / WEIGHTS_FILE,), NANO_DIR / CONFIG_FILE)
    assert checkpoint_files("nano") == nano and all(path.is_file() for path in nano.all)
    own = checkpoint_files(folder(tmp_path))
    assert own.all == (tmp_path / WEIGHTS_FILE, tmp_path / CONFIG_FILE) and not own.prefix


def test_an_official_file_is_the_only_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sam2.1_hiera_tiny.pt").touch()
    found = CheckpointFiles((tmp_path / "sam2.1_hiera_tiny.pt",))
    assert checkpoint_files(tmp_path / "sam2.1_hiera_tiny.pt") == found
    monkeypatch.setenv("HOME", str(tmp_path))
    assert checkpoint_files("~/sam2.1_hiera_tiny.pt") == found


def test_of_a_sa2va_only_the_shards_with_sam2_are_used(tmp_path: Path) -> None:
    shards = {INSIDE_SA2VA.replace(".", "__") + "no_mem_embed": "2.safetensors", "lm_head": "1.safetensors"}
    found = checkpoint_files(folder(tmp_path, SA2VA_TYPE, **shards))
    assert found == CheckpointFiles((tmp_path / "2.safetensors",), None, INSIDE_SA2VA)


@pytest.mark.parametrize("missing", [CONFIG_FILE, WEIGHTS_FILE])
def test_an_incomplete_checkpoint_raises_not_found_with_a_remedy(missing: str, tmp_path: Path) -> None:
    (folder(tmp_path) / missing).unlink()
    with pytest.raises(NotFound, match=f"{CONFIG_FILE} and {WEIGHTS_FILE}"):
        checkpoint_files(tmp_path)


def test_a_missing_file_raises_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"official \.pt"):
        checkpoint_files(tmp_path / "sam2.1_hiera_tiny.pt")


@pytest.mark.parametrize("content", ["{", "[]"])
def test_an_invalid_config_is_an_error(content: str, tmp_path: Path) -> None:
    (folder(tmp_path) / CONFIG_FILE).write_text(content)
    with pytest.raises(CheckpointError, match="Cannot read"):
        checkpoint_files(tmp_path)


@pytest.mark.parametrize("content", ['{"weight_map": 1}', '{"weight_map": {"a": "../b.safetensors"}}'])
def test_an_index_that_names_no_files_or_files_outside_its_folder_is_refused(
    content: str, tmp_path: Path
) -> None:
    folder(tmp_path, "sam2_video", a="x")
    (tmp_path / INDEX_FILE).write_text(content)
    with pytest.raises(CheckpointError):
        checkpoint_files(tmp_path)


def test_the_digest_depends_on_every_files_content_and_not_on_its_time(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_bytes(b"1")
    second.write_bytes(b"2")
    before = digest_of(first, second)
    second.write_bytes(b"2")
    assert digest_of(first, second) == before
    second.write_bytes(b"3")
    assert digest_of(first, second) != before
    first.write_bytes(b"12")
    second.write_bytes(b"")
    assert digest_of(first, second) != before
