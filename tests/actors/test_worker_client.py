"""What is sent to a worker, with a real actor."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import ray

from actors.desired_state import Delta, DesiredState
from actors.ray_runtime import call
from actors.worker_client import WorkerClient
from streaming.vocabulary import Query, QueryId, StreamId, StreamSpec
from tests.doubles import HostActor

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("ray_here"), pytest.mark.timeout(180)]
SPECS = [StreamSpec(StreamId(name), "whip:") for name in "ab"]


@pytest.fixture
def desired() -> DesiredState:
    state = DesiredState(1)
    state.load(SPECS, [Query(QueryId("q"), SPECS[0].stream_id, "the red square")])
    return state


@pytest.fixture
def client(desired: DesiredState) -> Iterator[WorkerClient]:
    made = WorkerClient("worker-0", 0, lambda: ray.remote(HostActor).remote(), desired)
    made.make()
    yield made
    ray.kill(made.handle)


async def deltas(client: WorkerClient) -> list[Delta]:
    return list(await call(client.handle.deltas.remote(), 60))


async def test_a_worker_gets_the_whole_state_then_only_changes_and_idle_rounds_send_nothing(
    client: WorkerClient, desired: DesiredState
) -> None:
    await client.heartbeat(60)
    assert client.status(SPECS[0].stream_id) is None
    await client.update(60)
    assert client.status(SPECS[0].stream_id) is not None
    for _ in range(3):
        await client.heartbeat(60)
        await client.update(60)
    edited = Query(QueryId("q"), SPECS[0].stream_id, "the blue square", revision=2)
    desired.put_query(edited)
    await client.update(60)
    whole, edit = await deltas(client)
    assert (whole.from_version, whole.streams) == (0, tuple(SPECS))
    assert edit == Delta(whole.to_version, whole.to_version + 1, queries=(edited,))


async def test_a_worker_replaced_between_heartbeat_and_update_gets_the_whole_state(
    client: WorkerClient, desired: DesiredState
) -> None:
    await client.heartbeat(60)
    await client.update(60)
    ray.kill(client.handle)
    client.make()
    desired.put_stream(StreamSpec(StreamId("c"), "whip:"))
    await client.update(60)
    refused, whole = await deltas(client)
    assert refused.from_version > 0
    assert (whole.from_version, len(whole.streams)) == (0, 3)
