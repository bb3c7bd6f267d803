"""Laws of prefixes and their KV cache."""

from __future__ import annotations

import pytest
import torch

from engines.grounding.checkpoints import Sa2Va
from engines.grounding.packing import pack
from engines.grounding.prefix import Prefix, PrefixTokens
from lab.training.initial_weights import initial_grounder


@pytest.fixture(scope="module")
def nano() -> Sa2Va:
    torch.set_num_threads(1)
    checkpoint = initial_grounder(4)
    checkpoint.model.eval().requires_grad_(False)
    return checkpoint


@pytest.fixture
def prefix_tokens(nano: Sa2Va) -> PrefixTokens:
    tokens = torch.randn(
        1,
        nano.template.image_tokens,
        nano.model.mllm.lm_head.in_features,
        generator=torch.Generator().manual_seed(0),
    )
    return PrefixTokens(tuple(nano.template.prefix()), tokens)


@pytest.fixture
def token_counts(nano: Sa2Va, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of tokens read by each call of the language model."""
    read: list[int] = []
    forward_cached = nano.model.forward_cached

    def counted(written: object, memory: object) -> torch.Tensor:
        hidden = forward_cached(written, memory)
        read.append(hidden.shape[1])
        return hidden

    monkeypatch.setattr(nano.model, "forward_cached", counted)
    return read


def test_the_first_question_is_read_in_one_prefill_with_the_images(
    nano: Sa2Va, prefix_tokens: PrefixTokens
) -> None:
    question = nano.template.segment_question("the red star")
    expected = nano.model.prefill(prefix_tokens.image_tokens, pack(prefix_tokens.ids, [[question]])).hidden
    behind = Prefix(nano.model, prefix_tokens).prefill([question])
    assert torch.equal(behind.hidden, expected[:, len(prefix_tokens.ids) :])
    assert behind.starts == (0,)


def test_further_questions_cost_their_own_tokens(
    nano: Sa2Va, prefix_tokens: PrefixTokens, token_counts: list[int]
) -> None:
    prefix, question = Prefix(nano.model, prefix_tokens), nano.template.segment_question("the red star")
    for _ in range(3):
        prefix.prefill([question, question])
    two = 2 * len(question)
    assert token_counts == [len(prefix_tokens.ids) + two, two, two]


def test_later_questions_have_the_hidden_states_of_first_questions(
    nano: Sa2Va, prefix_tokens: PrefixTokens
) -> None:
    first, later = (
        nano.template.segment_question(text) for text in ("the blue cup", "the red star on the left")
    )
    prefix = Prefix(nano.model, prefix_tokens)
    prefix.prefill([first])
    alone = Prefix(nano.model, prefix_tokens).prefill([later])
    torch.testing.assert_close(prefix.prefill([later]).hidden, alone.hidden, atol=1e-4, rtol=1e-4)
    together = prefix.prefill([first, later])
    torch.testing.assert_close(together.hidden[:, together.starts[1] :], alone.hidden, atol=1e-4, rtol=1e-4)


def test_decoding_equals_one_prefill_and_leaves_the_cache_as_it_was(
    nano: Sa2Va, prefix_tokens: PrefixTokens
) -> None:
    prefix, question = Prefix(nano.model, prefix_tokens), nano.template.user_question("how many?")
    before = prefix.prefill([question]).hidden
    whole = Prefix(nano.model, prefix_tokens).prefill([[*question, 9, 11]]).hidden[0]
    with prefix.decode(question) as decoding:
        torch.testing.assert_close(decoding.hidden, whole[-3], atol=1e-4, rtol=1e-4)
        for place, token in ((-2, 9), (-1, 11)):
            decoding.append(token)
            torch.testing.assert_close(decoding.hidden, whole[place], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(prefix.prefill([question]).hidden, before, atol=1e-4, rtol=1e-4)


def test_a_failed_prefill_does_not_affect_the_next(nano: Sa2Va, prefix_tokens: PrefixTokens) -> None:
    question, broken = nano.template.segment_question("the red star"), [10**9]
    prefix = Prefix(nano.model, prefix_tokens)
    with pytest.raises(IndexError):
        prefix.prefill([broken])
    expected = Prefix(nano.model, prefix_tokens).prefill([question]).hidden
    assert torch.equal(prefix.prefill([question]).hidden, expected)
    with pytest.raises(IndexError):
        prefix.prefill([broken])
    torch.testing.assert_close(prefix.prefill([question]).hidden, expected, atol=1e-4, rtol=1e-4)
