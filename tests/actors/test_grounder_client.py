"""A client of real grounder actors, and of absent and silent ones."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
import ray

from actors import grounder_client
from actors.grounder import GrounderActor
from actors.grounder_client import GrounderClient
from actors.heartbeat import Heartbeat
from actors.partial_answers import PartialAnswer
from actors.ray_runtime import NAMESPACE, ActorDied
from streaming.errors import GroundingFailed, ServiceUnavailable
from streaming.vocabulary import Answer, Keyframe, Query, QueryId, QueryKind, StreamId
from tests.doubles import BLUE, RED, ColourGrounder, frame_of, square_image

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("ray_here"), pytest.mark.timeout(180)]
KEYFRAME = Keyframe(
    frame_of(square_image((20, 20)), 7, "s"), (Query(QueryId("q"), StreamId("s"), "the red square"),), 0.0
)


def ignore(partial: PartialAnswer) -> None:
    """Takes a partial answer and does nothing."""


class EarlierFrameGrounder(ColourGrounder):
    """Grounds on the oldest of the earlier frames."""

    def ground(self, keyframe: Keyframe) -> list[Answer]:
        frame = replace(keyframe.frame, pixels=keyframe.earlier[0])
        return super().ground(replace(keyframe, frame=frame))


class AbsentGrounder:
    """Never answers, like an actor that is being restarted."""

    async def heartbeat(self) -> Heartbeat:
        await asyncio.sleep(60)
        return Heartbeat(0)


class BusyGrounder(GrounderActor):
    """Answers the third heartbeat, like an actor on a busy machine."""

    async def heartbeat(self) -> Heartbeat:
        self.calls = getattr(self, "calls", 0) + 1
        await asyncio.sleep(0 if self.calls > 2 else 60)
        return await super().heartbeat()


async def test_a_keyframe_is_answered_by_the_actor_of_that_name() -> None:
    actor = ray.remote(GrounderActor).options(name="grounder-here", num_cpus=0).remote(ColourGrounder)
    await actor.heartbeat.remote()
    grounded = await GrounderClient(["grounder-here"])(KEYFRAME, ignore)
    assert [(answer.keyframe_index, len(answer.prompts)) for answer in grounded.answers] == [(7, 1)]
    ray.kill(actor)


async def test_earlier_frames_are_sent_with_the_keyframe() -> None:
    actor = ray.remote(GrounderActor).options(name="grounder-then", num_cpus=0).remote(EarlierFrameGrounder)
    await actor.heartbeat.remote()
    then, soon = square_image((20, 20), RED), square_image((20, 20), BLUE)
    now = replace(KEYFRAME.frame, pixels=soon)
    keyframe = replace(KEYFRAME, frame=now, earlier=(then, soon))
    grounded = await GrounderClient(["grounder-then"])(keyframe, ignore)
    assert [len(answer.prompts) for answer in grounded.answers] == [1], (
        "the earlier frame is red, the keyframe blue"
    )
    ray.kill(actor)


async def test_a_keyframe_is_not_sent_to_an_actor_without_a_heartbeat(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(grounder_client, "_HEARTBEAT_TIMEOUT_S", 0.1)
    actor = ray.remote(AbsentGrounder).options(name="grounder-away", namespace=NAMESPACE, num_cpus=0).remote()
    with pytest.raises(ServiceUnavailable, match=r"0\.1 s"):
        await GrounderClient(["grounder-away"])(KEYFRAME, ignore)
    ray.kill(actor)


async def test_two_missing_heartbeats_are_tolerated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(grounder_client, "_HEARTBEAT_TIMEOUT_S", 0.5)
    actor = ray.remote(BusyGrounder).options(name="grounder-busy", num_cpus=0).remote(ColourGrounder)
    await actor.metrics.remote()
    grounded = await GrounderClient(["grounder-busy"])(KEYFRAME, ignore)
    assert [answer.keyframe_index for answer in grounded.answers] == [7]
    ray.kill(actor)


async def test_a_name_without_an_actor_raises_part_died() -> None:
    with pytest.raises(ActorDied, match="no grounder-none"):
        await GrounderClient(["grounder-none"])(KEYFRAME, ignore)


async def test_partial_answers_come_before_the_answer() -> None:
    actor = ray.remote(GrounderActor).options(name="grounder-text", num_cpus=0).remote(ColourGrounder)
    await actor.heartbeat.remote()
    partials: list[PartialAnswer] = []
    query = replace(KEYFRAME.queries[0], kind=QueryKind.ASK, revision=3)
    grounded = await GrounderClient(["grounder-text"])(replace(KEYFRAME, queries=(query,)), partials.append)
    assert [answer.text for answer in grounded.answers] == ["Sure, [SEG]."]
    assert partials[0] == PartialAnswer(query.query_id, 3, "Sure,"), (
        "what follows within 0.1 s may be dropped"
    )
    ray.kill(actor)


async def test_errors_of_the_model_are_raised_as_grounding_failed() -> None:
    actor = ray.remote(GrounderActor).options(name="grounder-fails", num_cpus=0).remote(ColourGrounder)
    await actor.heartbeat.remote()
    for kind in (QueryKind.REFER, QueryKind.ASK):
        query = Query(QueryId("q"), StreamId("s"), "crash", kind)
        with pytest.raises(GroundingFailed, match="RuntimeError"):
            await GrounderClient(["grounder-fails"])(replace(KEYFRAME, queries=(query,)), ignore)
    ray.kill(actor)


async def test_if_a_grounder_is_dead_or_silent_the_next_one_answers() -> None:
    actors = ray.remote(AbsentGrounder), ray.remote(GrounderActor)
    silent = actors[0].options(name="grounder-silent", num_cpus=0).remote()
    alive = actors[1].options(name="grounder-alive", num_cpus=0).remote(ColourGrounder)
    await alive.heartbeat.remote()
    client = GrounderClient(["grounder-nowhere", "grounder-silent", "grounder-alive"])
    for _ in range(2):
        assert len((await client(KEYFRAME, ignore)).answers) == 1
        assert client._names[0] == "grounder-alive", "asked first from now on"
    for actor in (silent, alive):
        ray.kill(actor)
