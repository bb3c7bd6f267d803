"""Laws of what is read once."""

from __future__ import annotations

import pytest
import torch

from engines.grounding.checkpoints import Sa2Va
from engines.grounding.packing import pack
from engines.grounding.prefix import Prefix, Shown
from lab.training.trainable_grounder import fresh_grounder


@pytest.fixture(scope="module")
def nano() -> Sa2Va:
    torch.set_num_threads(1)
    checkpoint = fresh_grounder(4)
    checkpoint.model.eval().requires_grad_(False)
    return checkpoint


@pytest.fixture
def shown(nano: Sa2Va) -> Shown:
    tokens = torch.randn(
        1, 64, nano.model.mllm.lm_head.in_features, generator=torch.Generator().manual_seed(0)
    )
    return Shown(tuple(nano.template.prefix()), tokens)


@pytest.fixture
def sizes(nano: Sa2Va, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many tokens were read, each time."""
    read: list[int] = []
    go_on = nano.model.go_on

    def counted(written: object, memory: object) -> torch.Tensor:
        hidden = go_on(written, memory)
        read.append(hidden.shape[1])
        return hidden

    monkeypatch.setattr(nano.model, "go_on", counted)
    return read


def test_a_first_question_is_read_in_one_go_with_the_pictures(nano: Sa2Va, shown: Shown) -> None:
    question = nano.template.question("the red star")
    expected = nano.model.read(shown.tokens, pack(shown.ids, [[question]])).hidden
    behind = Prefix(nano.model, shown).read([question])
    assert torch.equal(behind.hidden, expected[:, len(shown.ids) :])
    assert behind.starts == (0,)


def test_further_questions_cost_their_own_tokens(nano: Sa2Va, shown: Shown, sizes: list[int]) -> None:
    prefix, question = Prefix(nano.model, shown), nano.template.question("the red star")
    for _ in range(3):
        prefix.read([question, question])
    two = 2 * len(question)
    assert sizes == [len(shown.ids) + two, two, two]


def test_a_later_question_is_answered_as_a_first_one(nano: Sa2Va, shown: Shown) -> None:
    first, later = (nano.template.question(text) for text in ("the blue cup", "the red star on the left"))
    prefix = Prefix(nano.model, shown)
    prefix.read([first])
    alone = Prefix(nano.model, shown).read([later])
    torch.testing.assert_close(prefix.read([later]).hidden, alone.hidden, atol=1e-4, rtol=1e-4)
    together = prefix.read([first, later])
    torch.testing.assert_close(together.hidden[:, together.starts[1] :], alone.hidden, atol=1e-4, rtol=1e-4)


def test_a_talk_goes_on_where_it_was_and_is_forgotten_behind_it(nano: Sa2Va, shown: Shown) -> None:
    prefix, question = Prefix(nano.model, shown), nano.template.asked("how many?")
    before = prefix.read([question]).hidden
    whole = Prefix(nano.model, shown).read([[*question, 9, 11]]).hidden[0]
    with prefix.talk(question) as talk:
        torch.testing.assert_close(talk.state, whole[-3], atol=1e-4, rtol=1e-4)
        for place, token in ((-2, 9), (-1, 11)):
            talk.say(token)
            torch.testing.assert_close(talk.state, whole[place], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(prefix.read([question]).hidden, before, atol=1e-4, rtol=1e-4)


def test_a_question_that_failed_leaves_the_next_ones_alone(nano: Sa2Va, shown: Shown) -> None:
    question, broken = nano.template.question("the red star"), [10**9]
    prefix = Prefix(nano.model, shown)
    with pytest.raises(IndexError):
        prefix.read([broken])
    expected = Prefix(nano.model, shown).read([question]).hidden
    assert torch.equal(prefix.read([question]).hidden, expected)
    with pytest.raises(IndexError):
        prefix.read([broken])
    torch.testing.assert_close(prefix.read([question]).hidden, expected, atol=1e-4, rtol=1e-4)
