"""The grounder actor without Ray: a plain class in an event loop."""

import asyncio
import os
import threading
from collections.abc import Sequence
from dataclasses import replace

import pytest

from actors.grounder import Grounded, GrounderActor
from actors.metrics import exposition
from actors.partial_answers import PartialAnswer
from engines.protocols import OnPartialText
from streaming.errors import GroundingFailed, GroundingTimedOut, InvalidQuery
from streaming.vocabulary import Answer, Keyframe, Query, QueryId, QueryKind, StreamId
from tests.doubles import ColourGrounder, frame_of, square_image

SHORT_S, PLENTY_S = 0.05, 60.0
"Budgets: one that a model overruns, and one that it keeps on the slowest machine."


class HeldGrounder(ColourGrounder):
    """Answers when the test sets `gate`."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.begun = threading.Event()

    def ground(self, keyframe: Keyframe) -> list[Answer]:
        self.begun.set()
        assert self.gate.wait(PLENTY_S)
        return super().ground(keyframe)


def keyframe(index: int, *words: str, stream: str = "s") -> Keyframe:
    queries = tuple(Query(QueryId(word), StreamId(stream), word) for word in words)
    return Keyframe(frame_of(square_image((20, 20)), index, stream), queries, 0.0)


async def held(grounder: HeldGrounder) -> GrounderActor:
    """Return an actor whose model is busy with a first keyframe."""
    actor = GrounderActor(lambda: grounder)
    actor.first = asyncio.create_task(actor.ground(keyframe(0, "red first")))  # type: ignore[attr-defined]
    await asyncio.to_thread(grounder.begun.wait, PLENTY_S)
    return actor


async def test_every_query_of_a_keyframe_is_answered() -> None:
    actor = GrounderActor(ColourGrounder)
    grounded = await actor.ground(keyframe(0, "the red square", "the blue square"))
    assert [(answer.query_id, len(answer.prompts)) for answer in grounded.answers] == [
        ("the red square", 1),
        ("the blue square", 0),
    ]
    assert grounded.superseded == ()


async def test_a_queued_query_is_superseded_by_a_newer_keyframe() -> None:
    grounder = HeldGrounder()
    actor = await held(grounder)
    old = asyncio.create_task(actor.ground(keyframe(1, "red")))
    await asyncio.sleep(0)
    new = asyncio.create_task(actor.ground(keyframe(2, "red")))
    assert (await old).superseded == ("red",)
    grounder.gate.set()
    assert [answer.keyframe_index for answer in (await new).answers] == [2]


async def test_the_other_queries_of_a_partly_superseded_keyframe_are_answered() -> None:
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


async def test_after_a_failed_grounding_the_next_keyframe_is_answered() -> None:
    actor = GrounderActor(ColourGrounder)
    with pytest.raises(GroundingFailed, match="RuntimeError"):
        await actor.ground(keyframe(0, "crash"))
    assert len((await actor.ground(keyframe(1, "red"))).answers) == 1


async def test_a_cancelled_caller_does_not_stop_the_queue() -> None:
    grounder = HeldGrounder()
    actor = await held(grounder)
    gone = asyncio.create_task(actor.ground(keyframe(1, "red", stream="a")))
    await asyncio.sleep(0)
    gone.cancel()
    stays = asyncio.create_task(actor.ground(keyframe(2, "red", stream="b")))
    await asyncio.sleep(0)
    grounder.gate.set()
    assert len((await stays).answers) == 1


async def test_keyframes_are_counted_by_outcome() -> None:
    actor = GrounderActor(ColourGrounder)
    await actor.ground(keyframe(0, "red"))
    page = exposition([await actor.metrics()]).decode()
    assert 'saccade_keyframes_total{outcome="answered"} 1.0' in page
    assert "saccade_grounder_seconds_count 1.0" in page
    assert "saccade_grounder_queue_depth 0.0" in page


class CountingGrounder(HeldGrounder):
    """Records the streams of each batch."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[list[str]] = []

    def ground_batch(self, keyframes: Sequence[Keyframe]) -> list[list[Answer]]:
        self.batches.append([str(keyframe.frame.stream_id) for keyframe in keyframes])
        return super().ground_batch(keyframes)


async def asked_while_busy(grounder: HeldGrounder, *keyframes: Keyframe) -> list[Grounded | BaseException]:
    """Return the outcomes of keyframes that are queued while the model is busy."""
    actor = await held(grounder)
    actor._stream_s = 0.0
    waiting = [asyncio.create_task(actor.ground(one)) for one in keyframes]
    await asyncio.sleep(0)
    grounder.gate.set()
    return await asyncio.gather(*waiting, return_exceptions=True)


async def test_keyframes_of_several_streams_are_batched() -> None:
    grounder = CountingGrounder()
    streams = [keyframe(index, "red", stream=stream) for index, stream in enumerate("abc")]
    answered = await asked_while_busy(grounder, *streams)
    assert grounder.batches == [["s"], ["a", "b", "c"]]
    assert [one.answers[0].keyframe_index for one in answered] == [0, 1, 2]


async def test_only_the_failing_keyframe_of_a_batch_fails() -> None:
    grounder = CountingGrounder()
    streams = [keyframe(index, word, stream=word) for index, word in enumerate(("red", "crash", "blue"))]
    red, crash, blue = await asked_while_busy(grounder, *streams)
    assert isinstance(crash, GroundingFailed)
    assert (len(red.answers), len(blue.answers)) == (1, 1)


async def test_requests_of_one_stream_are_answered_on_its_newest_keyframe() -> None:
    grounder = CountingGrounder()
    first, second, other = await asked_while_busy(
        grounder, keyframe(1, "red", "blue"), keyframe(2, "red too"), keyframe(3, "red", stream="a")
    )
    assert grounder.batches == [["s"], ["s", "a"]]
    assert [(one.query_id, one.keyframe_index) for one in first.answers] == [("red", 2), ("blue", 2)]
    assert [(one.query_id, one.keyframe_index) for one in second.answers] == [("red too", 2)]
    assert [one.keyframe_index for one in other.answers] == [3]


async def test_after_a_failed_batch_each_stream_is_grounded_alone() -> None:
    grounder = CountingGrounder()
    asked = [keyframe(1, "red", stream="a"), keyframe(2, "red too", stream="a")]
    first, second, crash = await asked_while_busy(grounder, *asked, keyframe(3, "crash", stream="b"))
    assert grounder.batches == [["s"], ["a", "b"], ["a"], ["b"]]
    assert [one.answers[0].keyframe_index for one in (first, second)] == [2, 2]
    assert isinstance(crash, GroundingFailed)


async def test_other_requests_of_the_failing_stream_are_answered() -> None:
    first, crash = await asked_while_busy(CountingGrounder(), keyframe(1, "red"), keyframe(2, "crash"))
    assert [answer.keyframe_index for answer in first.answers] == [1]
    assert isinstance(crash, GroundingFailed)


class RefusingGrounder(CountingGrounder):
    """Raises InvalidQuery on frames of the stream "slender"."""

    def ground(self, keyframe: Keyframe) -> list[Answer]:
        if keyframe.frame.stream_id == "slender":
            raise InvalidQuery("A frame of this shape cannot be grounded.")
        return super().ground(keyframe)


async def test_an_error_of_the_model_is_raised_to_the_caller_of_that_keyframe() -> None:
    streams = [keyframe(0, "red", stream=name) for name in ("a", "slender", "b")]
    first, slender, last = await asked_while_busy(RefusingGrounder(), *streams)
    assert isinstance(slender, InvalidQuery)
    assert (len(first.answers), len(last.answers)) == (1, 1)


async def test_requests_for_text_do_not_change_the_measured_time_of_masks() -> None:
    actor = GrounderActor(ColourGrounder)
    asked = keyframe(0, "red?")
    await actor.ground(replace(asked, queries=(replace(asked.queries[0], kind=QueryKind.ASK),)))
    assert actor._stream_s == 1.0
    await actor.ground(asked)
    assert actor._stream_s < 1.0


async def test_a_grounding_over_its_budget_raises_and_the_next_is_answered() -> None:
    grounder = HeldGrounder()
    actor = GrounderActor(lambda: grounder, budget_s=SHORT_S)
    with pytest.raises(GroundingTimedOut, match="grounding_budget_s"):
        await actor.ground(keyframe(0, "red"))
    actor._budget_s = PLENTY_S
    waiting = asyncio.create_task(actor.ground(keyframe(1, "red")))
    await asyncio.sleep(0)
    grounder.gate.set()
    assert [answer.keyframe_index for answer in (await waiting).answers] == [1]


async def test_queued_keyframes_expire_while_the_model_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.grounder._OVERRUN_POLL_S", 0.01)
    grounder = HeldGrounder()
    actor = GrounderActor(lambda: grounder, budget_s=SHORT_S)
    first, second = (asyncio.create_task(actor.ground(keyframe(0, "red", stream=name))) for name in "ab")
    for one in (first, second):
        with pytest.raises(GroundingTimedOut):
            await one
    grounder.gate.set()


async def test_heartbeat_raises_while_the_model_hangs() -> None:
    grounder = HeldGrounder()
    actor = GrounderActor(lambda: grounder, budget_s=SHORT_S)
    with pytest.raises(GroundingTimedOut):
        await actor.ground(keyframe(0, "red"))
    actor._budget_s = PLENTY_S
    assert (await actor.heartbeat()).pid == os.getpid(), "over its budget, and given another"
    actor._budget_s = SHORT_S
    with pytest.raises(GroundingTimedOut, match="hangs"):
        while True:
            await actor.heartbeat()
            await asyncio.sleep(0.01)
    actor._budget_s = PLENTY_S
    grounder.gate.set()
    assert len((await actor.ground(keyframe(1, "red"))).answers) == 1
    assert (await actor.heartbeat()).pid == os.getpid()


class EndlessGrounder(ColourGrounder):
    """Generates text without end."""

    def generate(self, keyframe: Keyframe, on_partial: OnPartialText) -> list[Answer]:
        while True:
            on_partial(keyframe.queries[0], "and on")


async def test_generation_ends_when_its_budget_is_over() -> None:
    actor = GrounderActor(EndlessGrounder, budget_s=SHORT_S)
    asked = keyframe(0, "how many?")
    words = replace(asked, queries=(replace(asked.queries[0], kind=QueryKind.ASK),))
    with pytest.raises(GroundingTimedOut):
        await actor.ground(words)
    actor._budget_s = PLENTY_S
    assert len((await actor.ground(keyframe(1, "red"))).answers) == 1


async def test_partial_answers_are_yielded_before_the_outcome() -> None:
    actor = GrounderActor(ColourGrounder)
    asked = keyframe(0, "red?")
    words = replace(asked, queries=(replace(asked.queries[0], kind=QueryKind.DESCRIBE, revision=2),))
    items = [item async for item in actor.generate(words)]
    assert items[0] == PartialAnswer(QueryId("red?"), 2, "Sure,")
    assert [answer.text for answer in items[-1].answers] == ["Sure, [SEG]."]
    assert all(isinstance(item, PartialAnswer) for item in items[:-1])


async def test_a_closed_generator_does_not_stop_the_queue() -> None:
    actor = GrounderActor(ColourGrounder)
    asked = keyframe(0, "red?")
    words = replace(asked, queries=(replace(asked.queries[0], kind=QueryKind.ASK),))
    generating = actor.generate(words)
    await anext(generating)
    await generating.aclose()
    assert len((await actor.ground(keyframe(1, "red"))).answers) == 1
    assert not actor._partial_answers and not actor._results


async def test_an_answer_has_the_time_its_keyframe_waited() -> None:
    grounder = HeldGrounder()
    (answered,) = await asked_while_busy(grounder, keyframe(1, "red"))
    assert answered.answers[0].steps_s.wait > 0
