"""Ray for the tests of what stands directly on it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from actors.ray_runtime import start_ray, stop_ray


@pytest.fixture(scope="module")
def ray_here() -> Iterator[None]:
    """Ray on this machine, for tests of what stands directly on it."""
    start_ray(None)
    yield
    stop_ray()
