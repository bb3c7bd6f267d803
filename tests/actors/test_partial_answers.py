"""Words on their way out."""

import asyncio

from actors.partial_answers import EVERY_S, PartialAnswer, PartialAnswers
from streaming.vocabulary import QueryId


def said(text: str) -> PartialAnswer:
    return PartialAnswer(QueryId("q"), 1, text)


async def heard(mouth: PartialAnswers) -> list[str]:
    return [one.text async for one in mouth]


async def test_words_are_heard_in_order_until_the_answer_is_whole() -> None:
    mouth = PartialAnswers()
    listening = asyncio.create_task(heard(mouth))
    for turn, text in enumerate(("there", "there is", "there is a cup")):
        mouth.say(said(text), 2 * turn * EVERY_S)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    mouth.close()
    assert await listening == ["there", "there is", "there is a cup"]


async def test_who_reads_slowly_misses_words_but_never_the_newest() -> None:
    mouth = PartialAnswers()
    for turn in range(100):
        mouth.say(said(str(turn)), 2 * turn * EVERY_S)
    listening = asyncio.create_task(heard(mouth))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    mouth.close()
    assert await listening == ["99"]


async def test_words_that_follow_at_once_are_not_said() -> None:
    mouth = PartialAnswers()
    mouth.say(said("there"), 0.0)
    mouth.say(said("there is"), EVERY_S / 2)
    listening = asyncio.create_task(heard(mouth))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    mouth.close()
    assert await listening == ["there"]


async def test_a_whole_answer_makes_its_beginnings_superfluous() -> None:
    mouth = PartialAnswers()
    mouth.say(said("there"), 0.0)
    mouth.close()
    assert await heard(mouth) == []
