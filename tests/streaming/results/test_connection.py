"""Every kind of Redis: clusters, Sentinels, TLS, ACL users; results go on after failovers and refusals."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from pydantic import SecretStr

from actors.redis_server import RedisServer
from streaming.errors import StoreUnavailable
from streaming.results.connection import Connection, ping, refuses_all, resolve_redis_url
from streaming.results.desired_store import DesiredStore
from streaming.results.keys import Channel, key_of
from streaming.results.reader import ResultReader
from streaming.results.writer import ResultWriter
from streaming.vocabulary import FrameResult, Query, QueryId, StreamId, StreamSpec
from tests.brokers import Broker, brokers, replicate, tls_front, until, url_of
from tests.redis_entries import GATE, frame

COMPATIBILITY = Path(__file__).parents[3] / "docs/compatibility.md"


class Publishing:
    """A writer and what it has acknowledged."""

    def __init__(self, url: SecretStr) -> None:
        self.writer = ResultWriter(url, frames_maxlen=1_000, notes_maxlen=100)
        self.acknowledged: list[FrameResult] = []
        self._published = 0

    def publish(self, count: int, *stream_ids: StreamId) -> None:
        for index in range(self._published, self._published + count):
            for stream_id in stream_ids:
                self.writer.publish(frame(stream_id, index), self.acknowledged.append)
        self._published += count

    def until_acknowledged(self, count: int) -> None:
        until(lambda: len(self.acknowledged) >= count)
        assert len(self.acknowledged) == count


@pytest.fixture
def publishing_to() -> Iterator[Callable[[SecretStr], Publishing]]:
    made: list[Publishing] = []

    def make(url: SecretStr) -> Publishing:
        made.append(Publishing(url))
        return made[-1]

    yield make
    for each in made:
        each.writer.close()


async def assert_all_works(url: SecretStr, *stream_ids: StreamId) -> None:
    """Store, publish and read as the service does."""
    connection = Connection(url)
    connection.check_writable()
    connection.close()
    store, reader = DesiredStore(url), ResultReader(url)
    tails = [reader.tail(stream_id) for stream_id in stream_ids]
    publishing = Publishing(url)
    await reader.ping()
    for stream_id, tail in zip(stream_ids, tails, strict=True):
        assert await tail.read() == []
        store.put_stream(StreamSpec(stream_id, "whip:"))
        store.put_query(Query(QueryId(f"q-{stream_id}"), stream_id, "the car"))
    publishing.publish(5, *stream_ids)
    publishing.until_acknowledged(5 * len(stream_ids))
    for stream_id, tail in zip(stream_ids, tails, strict=True):
        assert len(await tail.read()) == 5
        assert len(await reader.latest(stream_id, Channel.FRAMES, 3)) == 3
        assert await reader.length(stream_id, Channel.FRAMES) == 5
    specs, queries = store.streams(), store.queries()
    assert {spec.stream_id for spec in specs} == set(stream_ids)
    store.replace_all(specs[:1], queries[:1])
    assert (store.streams(), store.queries()) == (specs[:1], queries[:1])
    store.remove_query(queries[0].query_id)
    store.remove_stream(specs[0].stream_id)
    assert (store.streams(), store.queries()) == ([], [])
    publishing.writer.close()
    assert all(publishing.writer.lost(stream_id) == 0 for stream_id in stream_ids)
    store.close()
    await reader.close()


# --- errors


def test_store_unavailable_names_the_address_and_no_password(own_redis: RedisServer) -> None:
    store = DesiredStore(own_redis.url)
    own_redis.stop()
    for call in (store.streams, store.queries, lambda: store.put_stream(StreamSpec(GATE, "whip:"))):
        with pytest.raises(StoreUnavailable, match=r"127\.0\.0\.1:\d+ does not answer") as away:
            call()
        assert away.value.retryable
        assert own_redis.url.get_secret_value().split("@")[0] not in str(away.value)
    with pytest.raises(StoreUnavailable):
        ping(own_redis.url)
    store.close()


def test_a_wrong_password_is_reported(own_redis: RedisServer) -> None:
    wrong = SecretStr(own_redis.url.get_secret_value().replace("redis://:", "redis://:not"))
    with pytest.raises(StoreUnavailable, match="user or password"):
        ping(wrong)


@pytest.mark.parametrize(
    "text",
    [
        "MISCONF Errors writing to the AOF file: No space left on device",
        "ERR Error running script: @user_script:7: -READONLY You can't write against a read only replica.",
        "OOM command not allowed when used memory > 'maxmemory'. script: 1a2b, on @user_script:7.",
        "NOREPLICAS Not enough good replicas to write.",
        "BUSY Redis is busy running a script.",
    ],
)
def test_refusals_of_all_writes_are_told_from_those_of_one(text: str) -> None:
    assert refuses_all(redis.ResponseError(text))
    wrong_type = "WRONGTYPE Operation against a key holding the wrong kind of value"
    assert not refuses_all(redis.ResponseError(wrong_type))


# --- clusters


async def test_a_cluster_is_found_and_followed_from_the_url_of_one_node(cluster_nodes: list[Broker]) -> None:
    streams = [StreamId(f"cluster-{letter}") for letter in "abc"]
    with cluster_nodes[0].client() as client:
        slots = {client.execute_command("CLUSTER", "KEYSLOT", f"{{{each}}}") // 5461 for each in streams}
    assert len(slots) > 1, "the streams are on several nodes"
    urls = [resolve_redis_url(url_of(node), None) for node in cluster_nodes]
    assert all(url.get_secret_value().startswith("redis+cluster://") for url in urls)
    await assert_all_works(urls[1], *streams)


def test_a_stream_whose_slot_moves_to_another_node_loses_nothing(
    cluster_nodes: list[Broker], publishing_to: Callable[[SecretStr], Publishing]
) -> None:
    stream_id = StreamId("moving")
    publishing = publishing_to(resolve_redis_url(url_of(cluster_nodes[0]), None))
    publishing.publish(50, stream_id)
    publishing.until_acknowledged(50)
    key = key_of(stream_id, Channel.FRAMES)
    move_slot(cluster_nodes, key)
    publishing.publish(50, stream_id)
    publishing.until_acknowledged(100)
    assert publishing.writer.lost(stream_id) == 0
    with redis.RedisCluster(host="127.0.0.1", port=cluster_nodes[1].port) as client:
        assert client.xlen(key) == 100


def move_slot(nodes: list[Broker], key: str) -> None:
    """Give the slot of a key, with the key, to another node, as `valkey-cli --cluster reshard` does."""
    clients = [node.client() for node in nodes]
    slot = clients[0].execute_command("CLUSTER", "KEYSLOT", key)
    ids = [client.execute_command("CLUSTER", "MYID").decode() for client in clients]
    owner = min(slot // 5461, 2)
    taker = (owner + 1) % 3
    clients[taker].execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[owner])
    clients[owner].execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[taker])
    clients[owner].execute_command("MIGRATE", "127.0.0.1", nodes[taker].port, key, 0, 5_000)
    for index in (taker, owner, 3 - taker - owner):
        clients[index].execute_command("CLUSTER", "SETSLOT", slot, "NODE", ids[taker])
    for client in clients:
        client.close()


def test_a_client_of_one_server_on_a_cluster_says_what_to_write(cluster_nodes: list[Broker]) -> None:
    streams = 0
    for node in cluster_nodes:
        store = DesiredStore(url_of(node))
        try:
            store.streams()
            streams += 1
        except StoreUnavailable as exc:
            assert "redis+cluster://" in exc.remedy
        store.close()
    assert streams == 1, "one node has the key"


# --- failovers and refusals


async def test_a_sentinel_is_asked_for_the_primary_and_a_failover_is_followed(
    tmp_path: Path, publishing_to: Callable[[SecretStr], Publishing]
) -> None:
    with brokers(tmp_path, 2, "repl-diskless-sync-delay 0") as (primary, replica):
        replicate(replica, primary)
        lines = [
            f"sentinel monitor main 127.0.0.1 {primary.port} 1",
            "sentinel down-after-milliseconds main 2000",
            "sentinel failover-timeout main 5000",
        ]
        sentinel = Broker(tmp_path / "sentinel", *lines, sentinel=True)
        try:
            with sentinel.client() as client:
                until(lambda: client.sentinel_slaves("main"))
                url = SecretStr(f"redis+sentinel://127.0.0.1:1,127.0.0.1:{sentinel.port}/main/0")
                assert resolve_redis_url(url, None) == url
                await assert_all_works(url, StreamId("before"))
                publishing = publishing_to(url)
                publishing.publish(20, GATE)
                publishing.until_acknowledged(20)
                until(lambda: fails_over(client))
                publishing.publish(20, GATE)
                until(lambda: client.sentinel_master("main")["port"] == replica.port)
                publishing.publish(20, GATE)
                publishing.until_acknowledged(60)
            assert publishing.writer.lost(GATE) == 0
            with replica.client() as client:
                assert client.xlen(key_of(GATE, Channel.FRAMES)) >= 20
            await assert_all_works(url, StreamId("after"))
        finally:
            sentinel.stop()


def fails_over(client: Any) -> bool:
    try:
        return bool(client.sentinel_failover("main"))
    except redis.ResponseError:  # it does not know yet that the replica is good
        return False


def fill_memory(client: Any, folder: Path) -> None:
    del folder
    client.config_set("maxmemory", 1)


def free_memory(client: Any, folder: Path) -> None:
    del folder
    client.config_set("maxmemory", 0)


def fail_to_save(client: Any, folder: Path) -> None:
    client.config_set("save", "3600 1")
    client.config_set("dir", str(folder / "gone"))
    shutil.rmtree(folder / "gone")
    client.bgsave()
    until(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err")


def save_again(client: Any, folder: Path) -> None:
    client.config_set("dir", str(folder))
    client.bgsave()
    until(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "ok")


def demote(client: Any, folder: Path) -> None:
    del folder
    client.config_set("replica-serve-stale-data", "yes")
    client.replicaof("127.0.0.1", 1)


def promote(client: Any, folder: Path) -> None:
    del folder
    client.replicaof("NO", "ONE")


def lose_replicas(client: Any, folder: Path) -> None:
    del folder
    client.config_set("min-replicas-to-write", 1)


def need_no_replicas(client: Any, folder: Path) -> None:
    del folder
    client.config_set("min-replicas-to-write", 0)


def forbid_appending(client: Any, folder: Path) -> None:
    del folder
    client.acl_setuser("default", enabled=True, commands=["-xadd", "-hset"])


def allow_appending(client: Any, folder: Path) -> None:
    del folder
    client.acl_setuser("default", enabled=True, commands=["+xadd", "+hset"])


@pytest.mark.parametrize(
    ("refuse", "accept", "says"),
    [
        (fill_memory, free_memory, "maxmemory"),
        (fail_to_save, save_again, "MISCONF"),
        (demote, promote, "read only replica"),
        (lose_replicas, need_no_replicas, "NOREPLICAS"),
        (forbid_appending, allow_appending, "permissions"),
    ],
)
def test_while_redis_refuses_writes_results_wait_and_it_is_said(
    tmp_path: Path,
    publishing_to: Callable[[SecretStr], Publishing],
    caplog: pytest.LogCaptureFixture,
    refuse: Callable[[Any, Path], None],
    accept: Callable[[Any, Path], None],
    says: str,
) -> None:
    (tmp_path / "gone").mkdir()
    with brokers(tmp_path, 1, "enable-protected-configs yes") as [broker], broker.client() as client:
        publishing, connection = publishing_to(url_of(broker)), Connection(url_of(broker))
        publishing.publish(10, GATE)
        publishing.until_acknowledged(10)
        refuse(client, tmp_path)
        publishing.publish(10, GATE)
        with pytest.raises(StoreUnavailable, match=says):
            connection.check_writable()
        until(lambda: "refuses results, they wait" in caplog.text)
        assert len(publishing.acknowledged) == 10
        accept(client, tmp_path)
        publishing.until_acknowledged(20)
        connection.check_writable()
        assert publishing.writer.lost(GATE) == 0
        assert client.xlen(key_of(GATE, Channel.FRAMES)) == 20
        connection.close()


# --- TLS and users


async def test_tls_with_an_authority_of_ones_own(tmp_path: Path) -> None:
    with brokers(tmp_path, 1) as [broker], tls_front(tmp_path, broker.port) as (port, authority):
        url = f"rediss://127.0.0.1:{port}/0"
        trusted = SecretStr(f"{url}?ssl_ca_certs={authority}")
        assert resolve_redis_url(trusted, None) == trusted
        await assert_all_works(trusted, StreamId("tls"))
        with pytest.raises(StoreUnavailable, match="is not trusted") as refused:
            ping(SecretStr(url))
        assert "ssl_ca_certs=" in refused.value.remedy


def documented_rules() -> list[str]:
    """The rules of the ACL user in the documentation."""
    found = re.search(r"^ACL SETUSER saccade (.+)$", COMPATIBILITY.read_text(), re.MULTILINE)
    assert found is not None
    return found[1].split()


async def test_a_user_with_just_the_documented_commands_is_enough(tmp_path: Path) -> None:
    with brokers(tmp_path, 1) as [broker], broker.client() as client:
        client.execute_command("ACL", "SETUSER", "saccade", *documented_rules())
        password = next(rule[1:] for rule in documented_rules() if rule.startswith(">"))
        url = resolve_redis_url(SecretStr(f"redis://saccade@127.0.0.1:{broker.port}/0"), SecretStr(password))
        await assert_all_works(url, StreamId("narrow"))
        refused = {line["reason"] + line["object"] for line in client.acl_log()}
        assert refused <= {"commandclient|setinfo", "commandhello"}, "niceties only"


@pytest.mark.parametrize("password", ["p@ss/w?rd#1", "100%", "a:b", "ü 🔑", "--x", '"', "'", "\\", "$HOME"])
def test_a_password_of_any_characters_is_taken_as_it_is(tmp_path: Path, password: str) -> None:
    with brokers(tmp_path, 1) as [broker]:
        with broker.client() as client:
            client.config_set("requirepass", password)
        url = resolve_redis_url(url_of(broker), SecretStr(password))
        ping(url)
        with pytest.raises(StoreUnavailable, match="user or password"):
            ping(url_of(broker))
