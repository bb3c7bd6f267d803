"""Calls and errors, with a real Ray."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import psutil
import pytest
import ray

from actors.ray_runtime import ActorDied, CannotStart, call, find_actor, iterate, start_ray
from streaming.errors import NotFound, ServiceUnavailable
from tests.doubles import HostActor

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("ray_here"), pytest.mark.timeout(180)]


@pytest.fixture
def actor() -> Any:
    return ray.remote(HostActor).options(num_cpus=0, max_restarts=-1).remote()


async def test_call_returns_the_result(actor: Any) -> None:
    assert await call(actor.pid.remote(), 60) != os.getpid()


async def test_actors_have_the_niceness_of_this_process(actor: Any) -> None:
    pid = await call(actor.pid.remote(), 60)
    assert os.getpriority(os.PRIO_PROCESS, pid) == os.nice(0)


async def test_a_saccade_error_is_raised_as_itself(actor: Any) -> None:
    with pytest.raises(NotFound) as caught:
        await call(actor.not_found.remote(), 60)
    assert type(caught.value) is NotFound
    assert str(caught.value) == "There is no such object. Try another."


async def test_another_exception_is_raised_as_service_unavailable(actor: Any) -> None:
    with pytest.raises(ServiceUnavailable, match="ZeroDivisionError"):
        await call(actor.bug.remote(), 60)


async def test_iterate_yields_in_order_and_raises_after_the_items_before_the_error(actor: Any) -> None:
    assert [item async for item in iterate(actor.count_down.remote(3), 30)] == [3, 2, 1]
    items = iterate(actor.count_down.remote(2, 0), 30)
    assert [await anext(items), await anext(items)] == [2, 1], "the items before the error"
    with pytest.raises(NotFound, match="no zero"):
        await anext(items)


async def test_a_call_without_an_answer_times_out(actor: Any) -> None:
    await call(actor.pid.remote(), 60)
    with pytest.raises(ServiceUnavailable, match="did not answer"):
        await call(actor.hang.remote(), 0.2)
    assert await call(actor.pid.remote(), 60)


async def test_a_killed_actor_raises_part_died_and_is_restarted(actor: Any) -> None:
    pid = await call(actor.pid.remote(), 60)
    waiting = actor.hang.remote()
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(ActorDied):
        await call(waiting, 60)
    assert await restarted_pid(actor) != pid


async def test_a_failing_constructor_raises_cannot_start_with_its_message() -> None:
    broken = ray.remote(HostActor).options(num_cpus=0, max_restarts=-1).remote(trouble="No weights here.")
    with pytest.raises(CannotStart, match=r"^No weights here\. Try another\.$"):
        await call(broken.pid.remote(), 60)


async def restarted_pid(actor: Any) -> int:
    """Return the process id once the actor answers again."""
    while True:
        try:
            return int(await call(actor.pid.remote(), 60))
        except ActorDied:
            continue


def test_find_actor_of_an_unknown_name_raises_part_died() -> None:
    with pytest.raises(ActorDied, match="no-such-actor"):
        find_actor("no-such-actor")


def test_an_unreachable_cluster_is_an_error_with_its_address() -> None:
    with pytest.raises(ServiceUnavailable, match=r"127\.0\.0\.1:1"):
        start_ray("127.0.0.1:1")


def test_any_error_of_ray_init_is_service_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(**_: object) -> None:
        raise Exception("The current node timed out during startup.")

    monkeypatch.setattr(ray, "init", start)
    with pytest.raises(ServiceUnavailable, match=r"timed out during startup.*Check `ray_address`"):
        start_ray(None)


def test_ray_of_our_own_listens_on_loopback_alone() -> None:
    node = ray._private.worker._global_node
    ours = {str(child.pid) for child in psutil.Process().children(recursive=True)} | {str(os.getpid())}
    listening = [
        found.laddr.ip
        for found in psutil.net_connections("tcp")
        if found.status == psutil.CONN_LISTEN and str(found.pid) in ours
    ]
    assert node is not None and len(listening) >= 3
    assert {ip.removeprefix("::ffff:") for ip in listening} <= {"127.0.0.1", "::1"}


def test_the_folder_of_our_own_ray_is_private() -> None:
    node = ray._private.worker._global_node
    assert node is not None
    session = Path(node.get_session_dir_path())
    assert session.parents[1].stat().st_mode & 0o077 == 0


WORK_WITH_A_LONG_CLEAN_UP = """
import asyncio, os, signal
from actors.ray_runtime import start_ray, stop_ray
from actors.shutdown import reclaim_signals, run_stoppable

async def work():
    await asyncio.to_thread(start_ray, None)
    reclaim_signals()
    os.kill(os.getpid(), signal.SIGTERM)
    try:
        await asyncio.sleep(60)
    finally:
        await asyncio.sleep(4)  # longer than the 3 s after which abseil's handler would abort
        await asyncio.to_thread(stop_ray)

run_stoppable(work())
"""


def test_sigterm_while_ray_runs_leaves_time_for_a_clean_up_and_no_folder() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:  # short: sockets are in it
        environment = os.environ | {"TMPDIR": folder}
        abandoned, of_a_user = Path(folder) / "saccade-ray-left", Path(folder) / "saccade-ray-films"
        abandoned.mkdir(), of_a_user.mkdir()
        (abandoned / "lock").touch()  # as a process leaves it that was killed
        done = subprocess.run(
            [sys.executable, "-c", WORK_WITH_A_LONG_CLEAN_UP],
            env=environment,
            timeout=120,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert list(Path(folder).glob("saccade*")) == [of_a_user]


def test_ray_starts_without_a_writable_home_folder() -> None:
    """As in a read-only container. In a process of its own, as Ray reads its environment once."""
    code = "from actors.ray_runtime import start_ray, stop_ray; start_ray(None); stop_ray()"
    environment = os.environ | {"HOME": "/proc/no-such-folder"}
    subprocess.run(
        [sys.executable, "-c", code], env=environment, check=True, capture_output=True, timeout=120
    )
