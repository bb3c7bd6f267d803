"""Asking a real process, and one that is not there."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
import ray

from actors import grounder_client
from actors.grounder import GrounderActor
from actors.grounder_client import GrounderClient
from actors.partial_answers import PartialAnswer
from actors.ray_runtime import NAMESPACE, PartDied
from streaming.errors import GroundingFailed, ServiceUnavailable
from streaming.vocabulary import Answer, Keyframe, Query, QueryId, QueryKind, StreamId
from tests.doubles import BLUE, RED, ColourGrounder, frame_of, square_picture

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("ray_here"), pytest.mark.timeout(180)]
KEYFRAME = Keyframe(
    frame_of(square_picture((20, 20)), 7, "s"), (Query(QueryId("q"), StreamId("s"), "the red square"),), 0.0
)


def unheard(said: PartialAnswer) -> None:
    """Nobody listens."""


class RememberingGrounder(ColourGrounder):
    """Looks at the oldest picture it is shown."""

    def ground(self, keyframe: Keyframe) -> list[Answer]:
        frame = replace(keyframe.frame, pixels=keyframe.earlier[0])
        return super().ground(replace(keyframe, frame=frame))


class AbsentGrounder:
    """A process in which nothing is answered: what one that is being restarted looks like from here."""

    async def alive(self) -> int:
        await asyncio.sleep(60)
        return 0


class BusyGrounder(GrounderActor):
    """Silent at first, like one that shares the machine with too many others."""

    async def alive(self) -> int:
        pid = await super().alive()
        self.pulses = getattr(self, "pulses", 0) + 1
        await asyncio.sleep(0 if self.pulses > 2 else 60)
        return pid


async def test_a_question_is_answered_by_the_process_of_that_name() -> None:
    actor = ray.remote(GrounderActor).options(name="grounder-here", num_cpus=0).remote(ColourGrounder)
    await actor.alive.remote()
    grounded = await GrounderClient("grounder-here")(KEYFRAME, unheard)
    assert [(answer.keyframe_index, len(answer.prompts)) for answer in grounded.answers] == [(7, 1)]
    ray.kill(actor)


async def test_pictures_from_before_cross_with_the_keyframe() -> None:
    actor = ray.remote(GrounderActor).options(name="grounder-then", num_cpus=0).remote(RememberingGrounder)
    await actor.alive.remote()
    then, soon = square_picture((20, 20), RED), square_picture((20, 20), BLUE)
    now = replace(KEYFRAME.frame, pixels=soon)
    keyframe = replace(KEYFRAME, frame=now, earlier=(then, soon))
    grounded = await GrounderClient("grounder-then")(keyframe, unheard)
    assert [len(answer.prompts) for answer in grounded.answers] == [1], "red then, blue since"
    ray.kill(actor)


async def test_a_process_without_a_pulse_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grounder_client, "_PULSE_TIMEOUT_S", 0.1)
    actor = ray.remote(AbsentGrounder).options(name="grounder-away", namespace=NAMESPACE, num_cpus=0).remote()
    with pytest.raises(ServiceUnavailable, match=r"0\.1 s"):
        await GrounderClient("grounder-away")(KEYFRAME, unheard)
    ray.kill(actor)


async def test_a_process_that_misses_a_pulse_or_two_is_asked_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(grounder_client, "_PULSE_TIMEOUT_S", 0.5)
    actor = ray.remote(BusyGrounder).options(name="grounder-busy", num_cpus=0).remote(ColourGrounder)
    await actor.metrics.remote()
    grounded = await GrounderClient("grounder-busy")(KEYFRAME, unheard)
    assert [answer.keyframe_index for answer in grounded.answers] == [7]
    ray.kill(actor)


async def test_a_grounder_nobody_has_made_is_said_to_be_gone() -> None:
    with pytest.raises(PartDied, match="no grounder-none"):
        await GrounderClient("grounder-none")(KEYFRAME, unheard)


async def test_words_come_before_the_answer_they_are_of() -> None:
    actor = ray.remote(GrounderActor).options(name="grounder-says", num_cpus=0).remote(ColourGrounder)
    await actor.alive.remote()
    heard: list[PartialAnswer] = []
    query = replace(KEYFRAME.queries[0], kind=QueryKind.ASK, revision=3)
    grounded = await GrounderClient("grounder-says")(replace(KEYFRAME, queries=(query,)), heard.append)
    assert [answer.text for answer in grounded.answers] == ["Sure, [SEG]."]
    assert heard[0] == PartialAnswer(query.query_id, 3, "Sure,"), (
        "what follows within a tenth of a second may be left out"
    )
    ray.kill(actor)


async def test_what_the_model_fails_on_is_heard_as_what_it_is() -> None:
    actor = ray.remote(GrounderActor).options(name="grounder-fails", num_cpus=0).remote(ColourGrounder)
    await actor.alive.remote()
    for kind in (QueryKind.REFER, QueryKind.ASK):
        query = Query(QueryId("q"), StreamId("s"), "crash", kind)
        with pytest.raises(GroundingFailed, match="RuntimeError"):
            await GrounderClient("grounder-fails")(replace(KEYFRAME, queries=(query,)), unheard)
    ray.kill(actor)
