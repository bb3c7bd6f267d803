"""Where Ray's errors become ours: against a real Ray."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Any

import pytest
import ray

from actors.ray_runtime import CannotStart, PartDied, call, find_actor, start_ray, stream
from streaming.errors import NotFound, ServiceUnavailable
from tests.doubles import HostActor

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("ray_here"), pytest.mark.timeout(180)]


@pytest.fixture
def part() -> Any:
    return ray.remote(HostActor).options(num_cpus=0, max_restarts=-1).remote()


async def test_an_answer_comes_back_as_it_is(part: Any) -> None:
    assert await call(part.pid.remote(), 60) != os.getpid()


async def test_a_part_gives_way_to_other_programs_no_more_than_we_do(part: Any) -> None:
    pid = await call(part.pid.remote(), 60)
    assert os.getpriority(os.PRIO_PROCESS, pid) == os.nice(0)


async def test_an_error_of_ours_is_itself_on_the_other_side(part: Any) -> None:
    with pytest.raises(NotFound) as caught:
        await call(part.not_found.remote(), 60)
    assert type(caught.value) is NotFound
    assert str(caught.value) == "There is no such thing. Look elsewhere."


async def test_a_bug_over_there_is_a_part_that_failed(part: Any) -> None:
    with pytest.raises(ServiceUnavailable, match="ZeroDivisionError"):
        await call(part.bug.remote(), 60)


async def test_what_comes_bit_by_bit_comes_in_order_and_ends(part: Any) -> None:
    assert [one async for one in stream(part.count_down.remote(3), 30)] == [3, 2, 1]
    coming = stream(part.count_down.remote(2, 0), 30)
    assert [await anext(coming), await anext(coming)] == [2, 1], "what came before the error came"
    with pytest.raises(NotFound, match="no zero"):
        await anext(coming)


async def test_a_part_that_hangs_is_not_waited_for(part: Any) -> None:
    await call(part.pid.remote(), 60)
    with pytest.raises(ServiceUnavailable, match="did not answer"):
        await call(part.hang.remote(), 0.2)
    assert await call(part.pid.remote(), 60)


async def test_a_part_that_dies_says_so_and_comes_back(part: Any) -> None:
    pid = await call(part.pid.remote(), 60)
    waiting = part.hang.remote()
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(PartDied):
        await call(waiting, 60)
    assert await back(part) != pid


async def test_a_part_that_cannot_be_made_says_why_in_one_line() -> None:
    broken = ray.remote(HostActor).options(num_cpus=0, max_restarts=-1).remote(trouble="No weights here.")
    with pytest.raises(CannotStart, match=r"^No weights here\. Look elsewhere\.$"):
        await call(broken.pid.remote(), 60)


async def back(part: Any) -> int:
    """The process id once the part answers again."""
    while True:
        try:
            return int(await call(part.pid.remote(), 60))
        except PartDied:
            continue


def test_a_name_nobody_has_is_a_part_that_is_not_there() -> None:
    with pytest.raises(PartDied, match="nobody"):
        find_actor("nobody")


def test_a_cluster_that_is_not_there_is_said() -> None:
    with pytest.raises(ServiceUnavailable, match=r"127\.0\.0\.1:1"):
        start_ray("127.0.0.1:1")


def test_whatever_keeps_it_from_starting_is_said_in_our_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(**_: object) -> None:
        raise Exception("The current node timed out during startup.")

    monkeypatch.setattr(ray, "init", start)
    with pytest.raises(ServiceUnavailable, match=r"timed out during startup.*Check `ray_address`"):
        start_ray(None)


def test_it_starts_where_no_home_folder_can_be_written() -> None:
    """As in a read-only container. In a process of its own, for Ray reads its environment once."""
    code = "from actors.ray_runtime import start_ray, stop_ray; start_ray(None); stop_ray()"
    environment = os.environ | {"HOME": "/proc/nobody"}
    subprocess.run(
        [sys.executable, "-c", code], env=environment, check=True, capture_output=True, timeout=120
    )
