"""Start and stop of the service: order, one-line errors, no process left."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from actors.service import running_service
from streaming.errors import Conflict, NotFound
from streaming.settings import Settings
from tests.processes import command_of, descendants_of, is_running, named
from tests.up import START_S, Up, saccade_starting, saccade_up

pytestmark = pytest.mark.timeout(400)


@pytest.mark.slow
def test_a_stopped_service_leaves_no_process_and_streams_and_queries_come_back(tmp_path: Path) -> None:
    with saccade_up(tmp_path) as up, up.client() as client:
        client.post("/v1/streams", {"stream_id": "phone", "url": "whip:"})
        added = client.post("/v1/streams/phone/queries", {"text": "the red circle"})
        assert_stops(up, signal.SIGINT)
    with saccade_up(tmp_path) as up, up.client() as client:
        (stream,) = client.get("/v1/streams")
        assert (stream["stream_id"], stream["url"]) == ("phone", "whip:")
        assert [query["query_id"] for query in stream["queries"]] == [added["query_id"]]
        assert_stops(up, signal.SIGTERM)


def assert_stops(up: Up, number: signal.Signals) -> None:
    family = descendants_of(up.process.pid)
    assert len(family) > 3
    assert up.server in up.log and up.token not in up.log, "stderr is a file: no secrets"
    assert up.stop(number) == 0
    assert_gone(family)


@pytest.mark.slow
@pytest.mark.parametrize("part", ["redis", "raylet", "ray::"])
def test_a_service_stopped_while_it_starts_leaves_no_process(part: str, tmp_path: Path) -> None:
    """`part`: the name of a process that runs when the signal is sent."""
    with saccade_starting(tmp_path) as up:
        deadline_s = time.monotonic() + START_S
        while not any(part in command_of(pid) for pid in descendants_of(up.process.pid)):
            assert up.process.poll() is None and time.monotonic() < deadline_s, up.log
            time.sleep(0.01)
        family = descendants_of(up.process.pid)
        assert up.stop() == 0, up.log
        assert "Traceback" not in up.log
    assert_gone(family)


def assert_gone(family: list[int]) -> None:
    deadline_s = time.monotonic() + 5
    while time.monotonic() < deadline_s and any(map(is_running, family)):
        time.sleep(0.1)
    assert not [pid for pid in family if is_running(pid)]


def failing(folder: Path, **settings: str) -> str:
    """Return the stderr of a `saccade up` that cannot start."""
    environment = os.environ | {"SACCADE_PORT": "0", "SACCADE_STATE_DIR": str(folder / "state"), **settings}
    done = subprocess.run(
        [sys.executable, "-m", "actors", "up"],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode in (1, 2)
    assert "Traceback" not in done.stderr, done.stderr
    return done.stderr


def test_addresses_that_cannot_work_end_the_start_with_one_line(tmp_path: Path) -> None:
    wrong = {"SACCADE_ICE_ADDRESSES": '["198.51.100.7"]', "SACCADE_STATE_DIR": str(tmp_path / "state")}
    command = [sys.executable, "-m", "actors", "up"]
    done = subprocess.run(
        command, cwd=tmp_path, env=os.environ | wrong, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    last = done.stderr.splitlines()[-1]
    assert "198.51.100.7" in last and "ice_public_addresses" in last and "Traceback" not in done.stderr
    assert not (tmp_path / "state").exists()


async def test_a_taken_port_is_an_error_with_its_number_and_leaves_no_process(tmp_path: Path) -> None:
    before = named("valkey-server", os.getpid())
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Conflict, match=str(port)):
            async with running_service(Settings(port=port, state_dir=tmp_path)):
                pass
    assert named("valkey-server", os.getpid()) == before


def test_the_error_of_an_unreachable_redis_has_no_password(tmp_path: Path) -> None:
    error = failing(tmp_path, SACCADE_REDIS_URL="redis://:hunter2@127.0.0.1:1/0")
    assert "store_unavailable" in error
    assert "hunter2" not in error


@pytest.mark.parametrize("state_dir", ["a file", "/proc/saccade"])
def test_a_state_folder_that_cannot_be_written_is_one_line(state_dir: str, tmp_path: Path) -> None:
    tmp_path.joinpath("a file").write_text("")
    error = failing(tmp_path, SACCADE_STATE_DIR=state_dir).splitlines()[-1]
    assert state_dir in error and "state_dir" in error


@pytest.mark.parametrize("setting", ["tracker", "model"])
async def test_a_missing_checkpoint_is_named_before_anything_starts(setting: str, tmp_path: Path) -> None:
    settings = Settings(port=0, state_dir=tmp_path / "state").model_copy(update={setting: "nowhere"})
    with pytest.raises(NotFound, match="checkpoint at nowhere"):
        async with running_service(settings):
            pass
    assert not (tmp_path / "state").exists()
