"""A checkpoint's files are found and told apart."""

from __future__ import annotations

from pathlib import Path

import pytest

from engines.tracking.files import CONFIG_FILE, NANO_DIR, WEIGHTS_FILE, checkpoint_dir, digest_of
from streaming.errors import NotFound


def test_nano_is_bundled_and_any_folder_is_itself(tmp_path: Path) -> None:
    assert checkpoint_dir("nano") == NANO_DIR
    for name in (CONFIG_FILE, WEIGHTS_FILE):
        (tmp_path / name).touch()
    assert checkpoint_dir(tmp_path) == tmp_path


@pytest.mark.parametrize("missing", [CONFIG_FILE, WEIGHTS_FILE])
def test_a_folder_without_one_of_the_files_is_no_checkpoint(missing: str, tmp_path: Path) -> None:
    (tmp_path / ({CONFIG_FILE, WEIGHTS_FILE} - {missing}).pop()).touch()
    with pytest.raises(NotFound, match="No tracker checkpoint"):
        checkpoint_dir(tmp_path)


def test_a_digest_changes_with_every_file_and_not_with_its_age(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_bytes(b"one")
    second.write_bytes(b"two")
    before = digest_of(first, second)
    first.write_bytes(b"one")
    assert digest_of(first, second) == before
    second.write_bytes(b"twp")
    assert digest_of(first, second) != before
    first.write_bytes(b"onet")
    second.write_bytes(b"wo")
    assert digest_of(first, second) != before
