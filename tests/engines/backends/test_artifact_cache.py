"""The artifact cache: files are read back whole, or not at all."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from engines.backends.artifact_cache import ArtifactCache, artifact_key


def files(folder: Path) -> ArtifactCache:
    return ArtifactCache(folder / "cache", ".bin")


def test_a_written_file_is_read_back_by_its_key(tmp_path: Path) -> None:
    written = files(tmp_path).write("track-1", b"weights")
    read = files(tmp_path).read("track-1")
    assert read is not None
    assert (read.content, read.path, read.digest) == (b"weights", written.path, written.digest)
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [f"track-1-{read.digest[:16]}.bin"]


def test_another_key_or_suffix_finds_nothing(tmp_path: Path) -> None:
    files(tmp_path).write("track-1", b"weights")
    assert files(tmp_path).read("track-2") is None
    assert ArtifactCache(tmp_path / "cache", ".onnx").read("track-1") is None


@pytest.mark.parametrize("damage", [b"", b"weig", b"weights and more", b"wEights"])
def test_a_damaged_file_is_logged_and_removed(
    tmp_path: Path, damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = files(tmp_path).write("track-1", b"weights").path
    assert path is not None
    path.write_bytes(damage)
    with caplog.at_level(logging.WARNING):
        assert files(tmp_path).read("track-1") is None
    assert "made again" in caplog.text and path.name in caplog.text
    assert not path.exists()


def test_a_failed_write_is_logged_and_still_returns_the_content(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "cache").write_text("in the way of a folder")
    with caplog.at_level(logging.WARNING):
        written = files(tmp_path).write("track-1", b"weights")
    assert (written.content, written.path) == (b"weights", None)
    assert "cannot be stored" in caplog.text


def test_a_full_disk_leaves_no_partial_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def is_full(path: Path, content: bytes) -> int:
        path.touch()
        raise OSError(28, "No space left on device")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "write_bytes", is_full)
        written = files(tmp_path).write("track-1", b"weights")
    assert written.path is None
    assert "No space left" in caplog.text
    assert list((tmp_path / "cache").iterdir()) == []


def test_without_a_folder_nothing_is_stored() -> None:
    nowhere = ArtifactCache(None, ".bin")
    assert nowhere.write("track-1", b"weights").path is None
    assert nowhere.read("track-1") is None


def test_a_key_depends_on_the_name_and_on_every_part() -> None:
    keys = {
        artifact_key("a", "b", "c"),
        artifact_key("a", "bc", ""),
        artifact_key("a", "b"),
        artifact_key("b", "b", "c"),
    }
    assert len(keys) == 4
    assert artifact_key("track", "1") == artifact_key("track", "1")
    assert artifact_key("track", "1").startswith("track-")
