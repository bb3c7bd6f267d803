"""Fixtures of the backends' tests."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of exported graphs: exporting the real ones takes seconds, and once is enough."""
    return tmp_path_factory.mktemp("exports")
