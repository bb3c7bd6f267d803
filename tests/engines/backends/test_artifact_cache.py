"""What is kept is read whole, or not at all."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from engines.backends.artifact_cache import KeptFiles, key_of


def files(folder: Path) -> KeptFiles:
    return KeptFiles(folder / "cache", ".bin")


def test_what_was_written_is_read_again_and_lies_under_its_key(tmp_path: Path) -> None:
    written = files(tmp_path).write("track-1", b"weights")
    read = files(tmp_path).read("track-1")
    assert read is not None
    assert (read.content, read.path, read.digest) == (b"weights", written.path, written.digest)
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [f"track-1-{read.digest[:16]}.bin"]


def test_another_key_reads_nothing(tmp_path: Path) -> None:
    files(tmp_path).write("track-1", b"weights")
    assert files(tmp_path).read("track-2") is None
    assert KeptFiles(tmp_path / "cache", ".onnx").read("track-1") is None


@pytest.mark.parametrize("damage", [b"", b"weig", b"weights and more", b"wEights"])
def test_what_is_not_whole_is_said_and_removed(
    tmp_path: Path, damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = files(tmp_path).write("track-1", b"weights").path
    assert path is not None
    path.write_bytes(damage)
    with caplog.at_level(logging.WARNING):
        assert files(tmp_path).read("track-1") is None
    assert "made anew" in caplog.text and path.name in caplog.text
    assert not path.exists()


def test_where_nothing_can_be_written_the_content_is_there_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "cache").write_text("in the way of a folder")
    with caplog.at_level(logging.WARNING):
        written = files(tmp_path).write("track-1", b"weights")
    assert (written.content, written.path) == (b"weights", None)
    assert "cannot be kept" in caplog.text


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def is_full(path: Path, content: bytes) -> int:
        path.touch()
        raise OSError(28, "No space left on device")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "write_bytes", is_full)
        written = files(tmp_path).write("track-1", b"weights")
    assert written.path is None
    assert "No space left" in caplog.text
    assert list((tmp_path / "cache").iterdir()) == []


def test_without_a_folder_nothing_is_kept() -> None:
    nowhere = KeptFiles(None, ".bin")
    assert nowhere.write("track-1", b"weights").path is None
    assert nowhere.read("track-1") is None


def test_a_key_changes_with_its_name_and_with_every_part() -> None:
    keys = {key_of("a", "b", "c"), key_of("a", "bc", ""), key_of("a", "b"), key_of("b", "b", "c")}
    assert len(keys) == 4
    assert key_of("track", "1") == key_of("track", "1")
    assert key_of("track", "1").startswith("track-")
