"""Which partial answers are delivered."""

import asyncio

from actors.partial_answers import EVERY_S, PartialAnswer, PartialAnswers
from streaming.vocabulary import QueryId


def partial(text: str) -> PartialAnswer:
    return PartialAnswer(QueryId("q"), 1, text)


async def received(channel: PartialAnswers) -> list[str]:
    return [answer.text async for answer in channel]


async def test_partial_answers_are_delivered_in_order_until_close() -> None:
    channel = PartialAnswers()
    reading = asyncio.create_task(received(channel))
    for index, text in enumerate(("there", "there is", "there is a cup")):
        channel.put(partial(text), 2 * index * EVERY_S)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    channel.close()
    assert await reading == ["there", "there is", "there is a cup"]


async def test_a_slow_reader_gets_the_newest_partial_answer() -> None:
    channel = PartialAnswers()
    for index in range(100):
        channel.put(partial(str(index)), 2 * index * EVERY_S)
    reading = asyncio.create_task(received(channel))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    channel.close()
    assert await reading == ["99"]


async def test_a_partial_answer_within_every_s_of_another_is_dropped() -> None:
    channel = PartialAnswers()
    channel.put(partial("there"), 0.0)
    channel.put(partial("there is"), EVERY_S / 2)
    reading = asyncio.create_task(received(channel))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    channel.close()
    assert await reading == ["there"]


async def test_an_unread_partial_answer_is_dropped_on_close() -> None:
    channel = PartialAnswers()
    channel.put(partial("there"), 0.0)
    channel.close()
    assert await received(channel) == []
