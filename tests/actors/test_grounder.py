"""The grounder's process, without Ray: a plain class in an event loop."""

import asyncio
import os
import threading
from collections.abc import Sequence
from dataclasses import replace

import pytest

from actors.grounder import Grounded, GrounderActor
from actors.metrics import exposition
from actors.partial_answers import PartialAnswer
from engines.protocols import Hear
from streaming.errors import GroundingFailed, GroundingTimedOut, InvalidQuery
from streaming.vocabulary import Answer, Keyframe, Query, QueryId, QueryKind, StreamId
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


async def test_a_model_that_fails_on_a_look_serves_the_next() -> None:
    actor = GrounderActor(ColourGrounder)
    with pytest.raises(GroundingFailed, match="RuntimeError"):
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


class CountingGrounder(HeldGrounder):
    """Remembers who was worked on together."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[list[str]] = []

    def ground_together(self, keyframes: Sequence[Keyframe]) -> list[list[Answer]]:
        self.batches.append([str(keyframe.frame.stream_id) for keyframe in keyframes])
        return super().ground_together(keyframes)


async def asked_while_busy(grounder: HeldGrounder, *keyframes: Keyframe) -> list[Grounded | BaseException]:
    """What becomes of keyframes that wait for a model together."""
    actor = await held(grounder)
    actor._look_s = 0.0
    waiting = [asyncio.create_task(actor.ground(one)) for one in keyframes]
    await asyncio.sleep(0)
    grounder.gate.set()
    return await asyncio.gather(*waiting, return_exceptions=True)


async def test_keyframes_of_several_streams_are_worked_on_together() -> None:
    grounder = CountingGrounder()
    streams = [keyframe(index, "red", stream=stream) for index, stream in enumerate("abc")]
    answered = await asked_while_busy(grounder, *streams)
    assert grounder.batches == [["s"], ["a", "b", "c"]]
    assert [one.answers[0].keyframe_index for one in answered] == [0, 1, 2]


async def test_of_keyframes_that_are_worked_on_together_only_the_one_to_blame_fails() -> None:
    grounder = CountingGrounder()
    streams = [keyframe(index, word, stream=word) for index, word in enumerate(("red", "crash", "blue"))]
    red, crash, blue = await asked_while_busy(grounder, *streams)
    assert isinstance(crash, GroundingFailed)
    assert (len(red.answers), len(blue.answers)) == (1, 1)


async def test_what_is_asked_of_one_stream_is_answered_by_one_look_at_its_newest_picture() -> None:
    grounder = CountingGrounder()
    first, second, other = await asked_while_busy(
        grounder, keyframe(1, "red", "blue"), keyframe(2, "red too"), keyframe(3, "red", stream="a")
    )
    assert grounder.batches == [["s"], ["s", "a"]]
    assert [(one.query_id, one.keyframe_index) for one in first.answers] == [("red", 2), ("blue", 2)]
    assert [(one.query_id, one.keyframe_index) for one in second.answers] == [("red too", 2)]
    assert [one.keyframe_index for one in other.answers] == [3]


async def test_a_question_that_fails_costs_other_streams_one_more_look_each() -> None:
    grounder = CountingGrounder()
    asked = [keyframe(1, "red", stream="a"), keyframe(2, "red too", stream="a")]
    first, second, crash = await asked_while_busy(grounder, *asked, keyframe(3, "crash", stream="b"))
    assert grounder.batches == [["s"], ["a", "b"], ["a"], ["b"]]
    assert [one.answers[0].keyframe_index for one in (first, second)] == [2, 2]
    assert isinstance(crash, GroundingFailed)


async def test_what_is_asked_beside_a_question_that_fails_is_answered() -> None:
    first, crash = await asked_while_busy(CountingGrounder(), keyframe(1, "red"), keyframe(2, "crash"))
    assert [answer.keyframe_index for answer in first.answers] == [1]
    assert isinstance(crash, GroundingFailed)


class PickyGrounder(CountingGrounder):
    """Cannot be shown everything."""

    def ground(self, keyframe: Keyframe) -> list[Answer]:
        if keyframe.frame.stream_id == "slender":
            raise InvalidQuery("A picture of this shape cannot be looked at.")
        return super().ground(keyframe)


async def test_what_a_model_says_of_a_picture_is_passed_on_to_who_showed_it() -> None:
    streams = [keyframe(0, "red", stream=name) for name in ("a", "slender", "b")]
    first, slender, last = await asked_while_busy(PickyGrounder(), *streams)
    assert isinstance(slender, InvalidQuery)
    assert (len(first.answers), len(last.answers)) == (1, 1)


async def test_a_long_answer_in_words_says_nothing_of_how_long_masks_take() -> None:
    actor = GrounderActor(ColourGrounder)
    asked = keyframe(0, "red?")
    await actor.ground(replace(asked, queries=(replace(asked.queries[0], kind=QueryKind.ASK),)))
    assert actor._look_s == 1.0
    await actor.ground(asked)
    assert actor._look_s < 1.0


async def test_who_waits_too_long_is_told_and_the_next_is_served() -> None:
    grounder = HeldGrounder()
    actor = GrounderActor(lambda: grounder, budget_s=0.05)
    with pytest.raises(GroundingTimedOut, match="grounding_budget_s"):
        await actor.ground(keyframe(0, "red"))
    waiting = asyncio.create_task(actor.ground(keyframe(1, "red")))
    await asyncio.sleep(0)
    grounder.gate.set()
    assert [answer.keyframe_index for answer in (await waiting).answers] == [1]


async def test_while_a_model_hangs_those_who_wait_are_told_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.grounder._AFTER_S", 0.01)
    grounder = HeldGrounder()
    actor = GrounderActor(lambda: grounder, budget_s=0.05)
    first, second = (asyncio.create_task(actor.ground(keyframe(0, "red", stream=name))) for name in "ab")
    for one in (first, second):
        with pytest.raises(GroundingTimedOut):
            await one
    grounder.gate.set()


async def test_a_model_that_hangs_takes_the_process_its_pulse_until_it_is_free() -> None:
    grounder = HeldGrounder()
    actor = GrounderActor(lambda: grounder, budget_s=0.05)
    with pytest.raises(GroundingTimedOut):
        await actor.ground(keyframe(0, "red"))
    assert await actor.alive() == os.getpid(), "late, and given as much time again"
    with pytest.raises(GroundingTimedOut, match="hangs"):
        while True:
            await actor.alive()
            await asyncio.sleep(0.01)
    grounder.gate.set()
    assert len((await actor.ground(keyframe(1, "red"))).answers) == 1
    assert await actor.alive() == os.getpid()


class EndlessGrounder(ColourGrounder):
    """Finds no end where it is asked for words."""

    def say(self, keyframe: Keyframe, hear: Hear) -> list[Answer]:
        while True:
            hear(keyframe.queries[0], "and on")


async def test_an_answer_without_end_is_ended_when_its_time_is_up() -> None:
    actor = GrounderActor(EndlessGrounder, budget_s=0.05)
    asked = keyframe(0, "how many?")
    words = replace(asked, queries=(replace(asked.queries[0], kind=QueryKind.ASK),))
    with pytest.raises(GroundingTimedOut):
        await actor.ground(words)
    assert len((await actor.ground(keyframe(1, "red"))).answers) == 1


async def test_words_are_said_before_the_answer_is_whole() -> None:
    actor = GrounderActor(ColourGrounder)
    asked = keyframe(0, "red?")
    words = replace(asked, queries=(replace(asked.queries[0], kind=QueryKind.DESCRIBE, revision=2),))
    said = [one async for one in actor.say(words)]
    assert said[0] == PartialAnswer(QueryId("red?"), 2, "Sure,")
    assert [answer.text for answer in said[-1].answers] == ["Sure, [SEG]."]
    assert all(isinstance(one, PartialAnswer) for one in said[:-1])


async def test_who_stops_listening_does_not_stop_the_queue() -> None:
    actor = GrounderActor(ColourGrounder)
    asked = keyframe(0, "red?")
    words = replace(asked, queries=(replace(asked.queries[0], kind=QueryKind.ASK),))
    saying = actor.say(words)
    await anext(saying)
    await saying.aclose()
    assert len((await actor.ground(keyframe(1, "red"))).answers) == 1
    assert not actor._mouths and not actor._promises


async def test_an_answer_says_how_long_it_waited() -> None:
    grounder = HeldGrounder()
    (answered,) = await asked_while_busy(grounder, keyframe(1, "red"))
    assert answered.answers[0].steps_s.wait > 0
