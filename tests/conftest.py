"""Fixtures for all tests. Real servers, started once and on loopback only."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path

import pytest

from actors.redis_server import RedisServer
from streaming.settings import Settings
from tests.served import Service, serve
from tests.servers import write_clip
from tests.up import Up, saccade_up

MAY_BE_ABSENT = ("../shared/data", "no GPU", "only Linux")
"What a skip may be for in CI: data nobody may commit, hardware nobody promised."


LONGEST_FIRST = (
    "tests/test_pipeline.py",
    "tests/engines/backends/test_tensorrt.py",
    "tests/engines/tracking/test_parity.py",
    "tests/actors/test_service.py",
    "tests/lab/benchmarks/",
    "tests/lab/evaluation/test_live.py",
)
"Each takes a minute or two and is one worker's alone: begun last, it would be waited for."


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Longest modules first, all else as it was."""

    def turn(item: pytest.Item) -> int:
        places = [place for place, path in enumerate(LONGEST_FIRST) if item.nodeid.startswith(path)]
        return places[0] if places else len(LONGEST_FIRST)

    items.sort(key=turn)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a skip for a missing server or missing weights is a failure: `make test` installs them."""
    report = yield
    if os.environ.get("CI") and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if not any(allowed in reason for allowed in MAY_BE_ABSENT):
            report.outcome, report.longrepr = "failed", f"{item.nodeid} may not be skipped in CI: {reason}"
    return report


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A real Redis-compatible server, shared: use stream ids of your own, and leave it running."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A real server of the test's own: stop it, kill it, start it again."""
    server = RedisServer(tmp_path / "redis")
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def served(redis_server: RedisServer) -> AsyncIterator[Service]:
    """A gateway on loopback, with the default settings and a real Redis."""
    async with serve(redis_server, Settings()) as running:
        yield running


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """One service for all tests that leave it as they found it."""
    with saccade_up(tmp_path_factory.mktemp("service")) as up:
        yield up


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds, 25 fps, H.264 without B-frames: see `tests.servers.write_clip`."""
    return write_clip(tmp_path_factory.mktemp("clip") / "square.mp4")
