"""Fixtures of all tests (real servers on loopback, started once); which tests are slow or may be skipped."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path

import pytest

from actors.redis_server import RedisServer
from streaming.settings import Settings
from tests.served import Service, serve
from tests.servers import write_clip

if "PYTEST_XDIST_WORKER" in os.environ:
    # A worker for each core. Read when torch is imported, here and in child processes: with more threads
    # than cores they would spend their time waiting for each other.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# Everything in the tests is on this machine; the product must not need this (see tests/up.py).
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost,::1"

# Spare processes load their model when a service starts, on the two cores that tests share. Tests of what
# they are for set their own.
os.environ.setdefault("SACCADE_WARM_SPARES", "[]")

ALLOWED_SKIPS = ("../shared/data", "no GPU", "only Linux")
"Reasons for which a test may be skipped in CI: data that cannot be committed, hardware that may be missing."

LONGEST_FIRST = (
    "tests/test_pipeline.py",
    "tests/engines/backends/test_tensorrt.py",
    "tests/engines/backends/test_openvino.py",
    "tests/engines/tracking/test_parity.py",
    "tests/actors/test_service.py",
    "tests/lab/benchmarks/",
    "tests/lab/evaluation/test_live.py",
    "tests/dashboards/test_page_video.py",
    "tests/test_networks.py",
    "tests/test_examples.py",
    "tests/lab/demo/",
)
"""Slow modules, each on one xdist worker: started last, they would leave the other idle.
Those that fill the folder `exports` come before those that read it."""

SLOW = (
    "tests/actors/cli/test_clip_tracking.py",
    "tests/actors/cli/test_exporting.py",
    "tests/actors/cli/test_main.py",
    "tests/actors/cli/test_models.py",
    "tests/actors/cli/test_service.py",
    "tests/actors/cli/test_streams.py",
    "tests/actors/test_child_process.py",
    "tests/actors/test_engine_loading.py",
    "tests/actors/test_grounder_client.py",
    "tests/actors/test_monitor.py",
    "tests/actors/test_ray_runtime.py",
    "tests/actors/test_redis_server.py",
    "tests/actors/test_service.py",
    "tests/actors/test_shutdown.py",
    "tests/actors/test_supervisor.py",
    "tests/dashboards/test_firefox.py",
    "tests/dashboards/test_gstreamer.py",
    "tests/dashboards/test_page",
    "tests/engines/backends/",
    "tests/engines/grounding/families/",
    "tests/engines/grounding/test_checkpoints.py",
    "tests/engines/grounding/test_grounder.py",
    "tests/engines/grounding/test_hub.py",
    "tests/engines/grounding/test_weights.py",
    "tests/engines/tracking/",
    "tests/gpu/",
    "tests/lab/benchmarks/",
    "tests/lab/cli/",
    "tests/lab/demo/",
    "tests/lab/evaluation/",
    "tests/lab/fixtures/",
    "tests/lab/training/language/",
    "tests/lab/training/test_",
    "tests/lab/training/world/test_composition.py",
    "tests/lab/training/world/test_scenes.py",
    "tests/streaming/results/test_connection.py",
    "tests/streaming/rtsp/test_gstreamer.py",
    "tests/streaming/rtsp/test_reader_choice.py",
    "tests/streaming/rtsp/test_source.py",
    "tests/test_examples.py",
    "tests/test_networks.py",
    "tests/test_pipeline.py",
)
"Marked `slow`, which `make quick` leaves out: they start servers or browsers, compile, train or run models."


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With `-m "not slow"`, do not import slow modules: their imports take as long as the fast tests."""
    if config.option.markexpr != "not slow" or not collection_path.is_file():
        return None
    path = collection_path.relative_to(config.rootpath).as_posix()
    return True if path.startswith(SLOW) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of `SLOW` and put the longest modules first; the order is otherwise kept."""

    def rank(item: pytest.Item) -> int:
        found = [index for index, path in enumerate(LONGEST_FIRST) if item.nodeid.startswith(path)]
        return found[0] if found else len(LONGEST_FIRST)

    for item in items:
        if item.nodeid.startswith(SLOW):
            item.add_marker(pytest.mark.slow)
    items.sort(key=rank)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI (environment variable CI), fail a test that is skipped for anything but `ALLOWED_SKIPS`.

    Servers and packages are installed by `make test`, so their absence is a fault there.
    """
    report = yield
    if os.environ.get("CI") and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if not any(allowed in reason for allowed in ALLOWED_SKIPS):
            report.outcome, report.longrepr = "failed", f"{item.nodeid} may not be skipped in CI: {reason}"
    return report


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Redis-compatible server shared by all tests of a worker. Use unique stream ids; do not stop it."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis-compatible server of one test, which may stop, kill and restart it."""
    server = RedisServer(tmp_path / "redis")
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def served(redis_server: RedisServer) -> AsyncIterator[Service]:
    """A gateway on loopback with default settings, over `redis_server`."""
    async with serve(redis_server, Settings()) as running:
        yield running


@pytest.fixture(scope="session")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of exported graphs, engines and int8 copies that all tests of a run share; each is made once.

    xdist's workers have folders beside each other.
    """
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    return folder / "exports"


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds, 25 fps, H.264 without B-frames: see `tests.servers.write_clip`."""
    return write_clip(tmp_path_factory.mktemp("clip") / "square.mp4")
