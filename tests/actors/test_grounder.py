"""The grounder's process, without Ray: a plain class in an event loop."""

import asyncio
import threading

import pytest

from actors.grounder import GrounderActor
from actors.metrics import exposition
from streaming.vocabulary import Answer, Keyframe, Query, QueryId, StreamId
from tests.doubles import ColourGrounder, frame_of, square_picture


class HeldGrounder(ColourGrounder):
    """Answers when the test opens the gate."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.begun = threading.Event()

    def ground(self, keyframe: Keyframe) -> list[Answer]:
        self.begun.set()
        assert self.gate.wait(5)
        return super().ground(keyframe)


def keyframe(index: int, *words: str, stream: str = "s") -> Keyframe:
    queries = tuple(Query(QueryId(word), StreamId(stream), word) for word in words)
    return Keyframe(frame_of(square_picture((20, 20)), index, stream), queries, 0.0)


async def held(grounder: HeldGrounder) -> GrounderActor:
    """An actor whose model is busy with a first keyframe."""
    actor = GrounderActor(lambda: grounder)
    actor.first = asyncio.create_task(actor.ground(keyframe(0, "red first")))  # type: ignore[attr-defined]
    await asyncio.to_thread(grounder.begun.wait, 5)
    return actor


async def test_every_query_of_a_keyframe_gets_its_answer() -> None:
    actor = GrounderActor(ColourGrounder)
    grounded = await actor.ground(keyframe(0, "the red square", "the blue square"))
    assert [(answer.query_id, len(answer.prompts)) for answer in grounded.answers] == [
        ("the red square", 1),
        ("the blue square", 0),
    ]
    assert grounded.superseded == ()


async def test_a_waiting_question_gives_way_to_a_newer_one_and_is_told_so() -> None:
    grounder = HeldGrounder()
    actor = await held(grounder)
    old = asyncio.create_task(actor.ground(keyframe(1, "red")))
    await asyncio.sleep(0)
    new = asyncio.create_task(actor.ground(keyframe(2, "red")))
    assert (await old).superseded == ("red",)
    grounder.gate.set()
    assert [answer.keyframe_index for answer in (await new).answers] == [2]


async def test_the_rest_of_a_half_superseded_keyframe_is_still_answered() -> None:
    grounder = HeldGrounder()
    actor = await held(grounder)
    old = asyncio.create_task(actor.ground(keyframe(1, "red", "red too")))
    await asyncio.sleep(0)
    new = asyncio.create_task(actor.ground(keyframe(2, "red")))
    await asyncio.sleep(0)
    grounder.gate.set()
    grounded = await old
    assert [answer.query_id for answer in grounded.answers] == ["red too"]
    assert grounded.superseded == ("red",)
    assert [answer.query_id for answer in (await new).answers] == ["red"]


async def test_a_model_that_fails_on_a_keyframe_serves_the_next() -> None:
    actor = GrounderActor(ColourGrounder)
    with pytest.raises(RuntimeError, match="fell over"):
        await actor.ground(keyframe(0, "crash"))
    assert len((await actor.ground(keyframe(1, "red"))).answers) == 1


async def test_an_asker_who_left_does_not_stop_the_queue() -> None:
    grounder = HeldGrounder()
    actor = await held(grounder)
    gone = asyncio.create_task(actor.ground(keyframe(1, "red", stream="a")))
    await asyncio.sleep(0)
    gone.cancel()
    stays = asyncio.create_task(actor.ground(keyframe(2, "red", stream="b")))
    await asyncio.sleep(0)
    grounder.gate.set()
    assert len((await stays).answers) == 1


async def test_what_becomes_of_keyframes_is_counted() -> None:
    actor = GrounderActor(ColourGrounder)
    await actor.ground(keyframe(0, "red"))
    page = exposition([await actor.metrics()]).decode()
    assert 'saccade_keyframes_total{outcome="answered"} 1.0' in page
    assert "saccade_grounder_seconds_count 1.0" in page
    assert "saccade_grounder_queue_depth 0.0" in page
