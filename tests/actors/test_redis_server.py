"""Our own Redis server: access, data through restarts, errors."""

from __future__ import annotations

import socket
import stat
from pathlib import Path

import pytest
from pydantic import SecretStr

from actors import redis_server
from actors.redis_server import RedisServer, find_program
from streaming.errors import Conflict, ServiceUnavailable, StoreUnavailable
from streaming.results.connection import ping
from streaming.results.desired_store import DesiredStore
from streaming.vocabulary import StreamId, StreamSpec

SPEC = StreamSpec(StreamId("gate"), "whip:")


def test_the_server_answers_when_start_returns_and_not_after_stop(tmp_path: Path) -> None:
    server = RedisServer(tmp_path / "a folder")
    url = server.start()
    ping(url)
    assert server.is_running
    server.stop()
    assert not server.is_running
    with pytest.raises(StoreUnavailable):
        ping(url)
    server.stop()


def test_the_server_listens_on_loopback_only_and_requires_its_password(own_redis: RedisServer) -> None:
    port = int(own_redis.url.get_secret_value().rpartition(":")[2].split("/")[0])
    with pytest.raises(StoreUnavailable, match="user or password"):
        ping(SecretStr(f"redis://127.0.0.1:{port}/0"))
    listening = Path("/proc/net/tcp").read_text().splitlines()
    local = [line.split()[1] for line in listening[1:] if line.split()[3] == "0A"]
    assert [address for address in local if address.endswith(f":{port:04X}")] == [f"0100007F:{port:04X}"]


def test_the_data_is_there_for_the_next_server(tmp_path: Path) -> None:
    for started in range(2):
        server = RedisServer(tmp_path)
        store = DesiredStore(server.start())
        assert store.streams() == [SPEC] * started
        store.put_stream(SPEC)
        store.close()
        server.stop()


def test_address_and_data_survive_a_restart(own_redis: RedisServer) -> None:
    store, url, pid = DesiredStore(own_redis.url), own_redis.url, own_redis.pid
    store.put_stream(SPEC)
    own_redis.restart()
    assert own_redis.url == url
    assert own_redis.pid != pid
    assert store.streams() == [SPEC]
    store.close()


def test_a_restart_fails_while_another_program_has_the_port(own_redis: RedisServer) -> None:
    url = own_redis.url
    own_redis.stop()
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", int(url.get_secret_value().rpartition(":")[2].partition("/")[0])))
        other.listen()
        with pytest.raises(ServiceUnavailable):
            own_redis.restart()
    own_redis.restart()
    assert own_redis.url == url
    ping(own_redis.url)


def test_files_are_readable_by_their_owner_only(own_redis: RedisServer, tmp_path: Path) -> None:
    folder = tmp_path / "redis"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for name in ("server.conf", "url"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
    assert (folder / "url").read_text().strip() == own_redis.url.get_secret_value()
    assert own_redis.url.get_secret_value() not in repr(own_redis.url)


def test_a_second_server_in_a_folder_raises_conflict(
    own_redis: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_server, "_STOP_TIMEOUT_S", 0.05)
    with pytest.raises(Conflict, match="Another program has its Redis"):
        RedisServer(tmp_path / "redis").start()
    ping(own_redis.url)


def test_without_an_installed_server_the_error_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ServiceUnavailable, match="Set redis_url, or install"):
        RedisServer(tmp_path).start()


def test_a_server_on_the_path_is_preferred(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "redis-server"
    program.write_text("#!/bin/sh\necho no such version >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert find_program() == program
    with pytest.raises(ServiceUnavailable, match="ended at once: no such version"):
        RedisServer(tmp_path / "state").start()


def test_damaged_data_raises_with_the_path_of_the_log(tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    server.start()
    server.stop()
    manifest = next((tmp_path / "appendonlydir").glob("*.manifest"))
    manifest.write_text("nonsense\n")
    with pytest.raises(ServiceUnavailable, match=r"server\.log; if its data is damaged, remove"):
        server.start()


def test_a_first_start_takes_another_port_if_one_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        ports = [holder.getsockname()[1]]
        free_port = redis_server._free_port
        monkeypatch.setattr(redis_server, "_free_port", lambda: ports.pop() if ports else free_port())
        server = RedisServer(tmp_path)
        ping(server.start())
        server.stop()
