"""A monitor and a real actor that dies, hangs or cannot start."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import ray

from actors.actor_health import MonitorTimes
from actors.desired_state import DesiredState
from actors.grounder import GrounderActor
from actors.heartbeat import Heartbeat
from actors.monitor import ActorMonitor, RayActor
from actors.ray_runtime import NAMESPACE, CannotStart, call
from actors.worker_client import WorkerClient
from streaming.errors import GroundingTimedOut
from streaming.vocabulary import Answer, Keyframe, Query, QueryId, StreamId, StreamSpec
from tests.doubles import ColourGrounder, HostActor, frame_of, square_image
from tests.processes import is_running

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("ray_here"), pytest.mark.timeout(180)]
S = StreamId("s")


def host(**options: Any) -> Any:
    return ray.remote(HostActor).options(num_cpus=0).remote(**options)


async def until(condition: Callable[[], object], monitor: ActorMonitor[Any]) -> None:
    deadline_s = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline_s, monitor.problem
        monitor.check()
        await asyncio.sleep(0.02)


@asynccontextmanager
async def monitoring(
    desired: DesiredState | None = None, times: MonitorTimes | None = None, **options: Any
) -> AsyncIterator[ActorMonitor[WorkerClient]]:
    worker = WorkerClient("worker-0", 0, partial(host, **options), desired or DesiredState(1))
    monitor = ActorMonitor(worker, times)
    yield monitor
    await monitor.close()
    ray.kill(worker.handle)


async def test_before_its_first_heartbeat_an_actor_is_starting() -> None:
    async with monitoring() as monitor:
        assert monitor.problem == "It is starting."
        await until(lambda: not monitor.problem, monitor)


async def test_a_worker_that_died_is_counted_and_gets_its_streams_again() -> None:
    desired = DesiredState(1)
    desired.put_stream(StreamSpec(S, "whip:"))
    async with monitoring(desired) as monitor:
        await until(lambda: not monitor.problem, monitor)
        os.kill(await call(monitor.actor.handle.pid.remote(), 10), signal.SIGKILL)
        await until(lambda: monitor.restarts == 1 and not monitor.problem, monitor)
        (delta,) = await call(monitor.actor.handle.deltas.remote(), 10)
        assert (delta.from_version, [spec.stream_id for spec in delta.streams]) == (0, [S])


async def test_a_worker_that_died_is_replaced_by_its_spare_and_another_spare_is_made() -> None:
    desired, times = DesiredState(1), MonitorTimes(spare_s=0.1)
    desired.put_stream(StreamSpec(S, "whip:"))
    async with monitoring(desired, times) as monitor:
        spare = ActorMonitor(RayActor("spare", host), times)
        monitor.spare = spare
        await until(lambda: not (monitor.problem or spare.problem), monitor)
        pid, spare_pid = [await call(one.actor.handle.pid.remote(), 10) for one in (monitor, spare)]
        os.kill(pid, signal.SIGKILL)
        await until(lambda: monitor.restarts == 1 and not monitor.problem, monitor)
        assert await call(monitor.actor.handle.pid.remote(), 10) == spare_pid
        (delta,) = await call(monitor.actor.handle.deltas.remote(), 10)
        assert (delta.from_version, [spec.stream_id for spec in delta.streams]) == (0, [S])
        await until(lambda: spare.restarts == 1 and not spare.problem, spare)
        assert await call(spare.actor.handle.pid.remote(), 10) not in (pid, spare_pid)
        await spare.close()
        ray.kill(spare.actor.handle)


async def test_a_worker_that_is_stopped_is_replaced_and_its_process_is_gone() -> None:
    times = MonitorTimes(heartbeat_timeout_s=0.5, hang_s=1.0, spare_s=60.0)
    async with monitoring(times=times) as monitor:
        spare = ActorMonitor(RayActor("spare", host), times)
        monitor.spare = spare
        await until(lambda: not (monitor.problem or spare.problem), monitor)
        pid, spare_pid = [await call(one.actor.handle.pid.remote(), 10) for one in (monitor, spare)]
        os.kill(pid, signal.SIGSTOP)
        await until(lambda: monitor.restarts == 1 and not monitor.problem, monitor)
        assert await call(monitor.actor.handle.pid.remote(), 10) == spare_pid
        await until(lambda: not is_running(pid), monitor)
        await spare.close()


class Delayed(RayActor):
    """An actor whose heartbeats arrive when the test lets them."""

    may_arrive: asyncio.Event

    async def heartbeat(self, timeout_s: float) -> Heartbeat:
        beat = await super().heartbeat(timeout_s)
        await self.may_arrive.wait()
        return beat


async def test_a_heartbeat_that_is_under_way_while_a_spare_takes_over_is_not_the_next_spares() -> None:
    times = MonitorTimes(spare_s=60.0)
    async with monitoring(times=times) as monitor:
        actor = Delayed("spare", host)
        actor.may_arrive = asyncio.Event()
        actor.may_arrive.set()
        spare = monitor.spare = ActorMonitor(actor, times)
        await until(lambda: not (monitor.problem or spare.problem), monitor)
        actor.may_arrive.clear()
        await asyncio.sleep(2 * times.round_s)
        os.kill(await call(monitor.actor.handle.pid.remote(), 10), signal.SIGKILL)
        await until(lambda: monitor.restarts == 1 and not monitor.problem, monitor)
        actor.may_arrive.set()
        await asyncio.sleep(0.1)
        assert not spare._health.is_alive, "the next spare is not even made"
        assert spare._exit_watch._pid is None
        await spare.close()


async def test_a_named_actor_and_its_spare_exchange_names() -> None:
    def made(name: str) -> Any:
        return ray.remote(HostActor).options(num_cpus=0, name=name).remote()

    times = MonitorTimes(spare_s=0.0)
    first, other = (ActorMonitor(RayActor(name, partial(made, name)), times) for name in ("a-1", "a-2"))
    first.spare = other
    await until(lambda: not (first.problem or other.problem), first)
    pids = [await call(one.actor.handle.pid.remote(), 10) for one in (first, other)]
    os.kill(pids[0], signal.SIGKILL)
    await until(lambda: first.restarts == other.restarts == 1 and not other.problem, other)
    assert await call(ray.get_actor("a-2", NAMESPACE).pid.remote(), 10) == pids[1]
    assert await call(ray.get_actor("a-1", NAMESPACE).pid.remote(), 10) not in pids
    for monitor in (first, other):
        await monitor.close()
        ray.kill(monitor.actor.handle)


async def test_refresh_returns_when_the_change_is_applied() -> None:
    desired = DesiredState(1)
    async with monitoring(desired) as monitor:
        await until(lambda: not monitor.problem, monitor)
        desired.put_stream(StreamSpec(S, "whip:"))
        await monitor.refresh(10)
        assert monitor.actor.status(S) is not None


async def test_refresh_does_not_wait_for_ever_for_a_dead_actor() -> None:
    async with monitoring() as monitor:
        await until(lambda: not monitor.problem, monitor)
        ray.kill(monitor.actor.handle)
        await monitor.refresh(0.3)


async def test_a_worker_that_is_slow_to_update_has_a_problem_and_is_not_killed() -> None:
    desired = DesiredState(1)
    desired.put_stream(StreamSpec(S, "whip:"))
    times = MonitorTimes(hang_s=1.0, update_timeout_s=2.0)
    async with monitoring(desired, times, applying_s=60.0) as monitor:
        pid = await call(monitor.actor.handle.pid.remote(), 60)
        await monitor.refresh(3.0)
        assert "did not answer" in monitor.problem
        assert await call(monitor.actor.handle.pid.remote(), 10) == pid, "alive for longer than hang_s"


async def test_an_actor_that_cannot_be_made_is_given_up_with_its_reason() -> None:
    monitor = ActorMonitor(RayActor("worker-0", partial(host, trouble="No weights here.")))
    with pytest.raises(CannotStart, match="No weights"):
        await until(lambda: False, monitor)
    assert "No weights" in monitor.problem
    await monitor.close()


async def test_an_actor_that_cannot_be_made_again_is_made_until_it_can(tmp_path: Path) -> None:
    full = tmp_path / "full"
    async with monitoring(times=MonitorTimes(remake_s=0.2), full_disk=full) as monitor:
        pid = await call(monitor.actor.handle.pid.remote(), 60)
        await until(lambda: not monitor.problem, monitor)
        full.touch()
        os.kill(pid, signal.SIGKILL)
        await until(lambda: "No space left" in monitor.problem, monitor)
        full.unlink()
        await until(lambda: monitor.restarts == 1 and not monitor.problem, monitor)


async def test_an_actor_that_is_stopped_is_killed_and_restarted() -> None:
    times = MonitorTimes(heartbeat_timeout_s=0.5, hang_s=1.0)
    async with monitoring(times=times) as monitor:
        await until(lambda: not monitor.problem, monitor)
        os.kill(await call(monitor.actor.handle.pid.remote(), 10), signal.SIGSTOP)
        await until(lambda: monitor.restarts == 1 and not monitor.problem, monitor)


async def test_a_worker_with_a_hung_tracking_thread_reports_it_and_is_restarted(tmp_path: Path) -> None:
    reported = tmp_path / "reported"
    async with monitoring(hung_steps=reported) as monitor:
        await until(lambda: not monitor.problem, monitor)
        await call(monitor.actor.handle.hang_step.remote(S, 4.1), 10)
        await until(lambda: monitor.restarts == 1 and not monitor.problem, monitor)
        assert reported.read_text() == S


async def test_a_monitor_that_was_late_does_not_kill_the_actor() -> None:
    async with monitoring(times=MonitorTimes(hang_s=1.0)) as monitor:
        await until(lambda: not monitor.problem, monitor)
        block = time.sleep  # the monitor's event loop, for three times hang_s
        block(3.0)
        for _ in range(10):
            await asyncio.sleep(0.1)
        assert (monitor.restarts, monitor.problem) == (0, "")


class HangingGrounder(ColourGrounder):
    """Never returns from a query "hang"."""

    def ground(self, keyframe: Keyframe) -> list[Answer]:
        if keyframe.queries[0].text == "hang":
            time.sleep(600)
        return super().ground(keyframe)


async def test_a_grounder_whose_model_hangs_is_killed_and_restarted() -> None:
    remote = ray.remote(GrounderActor).options(num_cpus=0)
    monitor = ActorMonitor(RayActor("grounder", lambda: remote.remote(HangingGrounder, 0.5)))
    query = Query(QueryId("q"), StreamId("s"), "hang")
    asked = Keyframe(frame_of(square_image((20, 20)), 0, "s"), (query,), 0.0)
    with pytest.raises(GroundingTimedOut):
        await call(monitor.actor.handle.ground.remote(asked), 60)
    await until(lambda: monitor.restarts == 1 and not monitor.problem, monitor)
    again = replace(asked, queries=(replace(query, text="the red square"),))
    grounded = await call(monitor.actor.handle.ground.remote(again), 60)
    assert len(grounded.answers) == 1
    await monitor.close()
    ray.kill(monitor.actor.handle)
