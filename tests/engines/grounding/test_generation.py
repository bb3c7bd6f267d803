"""Laws of answers in words."""

from __future__ import annotations

import pytest
import torch
from tokenizers import Tokenizer

from engines.grounding.checkpoints import Sa2Va
from engines.grounding.generation import MOST_TOKENS, phrases, speak, spelt
from engines.grounding.model import normalise
from engines.grounding.prefix import Prefix, Shown
from lab.training.tokenizer import nano_tokenizer
from lab.training.trainable_grounder import fresh_grounder
from lab.training.world.scenes import draw_clip


@pytest.fixture(scope="module")
def nano() -> Sa2Va:
    torch.set_num_threads(1)
    checkpoint = fresh_grounder(4)
    checkpoint.model.eval().requires_grad_(False)
    return checkpoint


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return nano_tokenizer()


def _prefix(nano: Sa2Va) -> Prefix:
    tokens = nano.model.look(normalise(draw_clip(1, frames=1).frames)).tokens
    return Prefix(nano.model, Shown(tuple(nano.template.prefix()), tokens))


def _question(nano: Sa2Va) -> list[int]:
    return nano.template.asked("how many red circles are there?")


def test_an_answer_is_the_likeliest_word_after_word_as_one_prefill_sees_it(nano: Sa2Va) -> None:
    question = _question(nano)
    speech = speak(nano.model, _prefix(nano), question, nano.template.ends)
    hidden = _prefix(nano).read([[*question, *speech.ids]]).hidden[0]
    chances = nano.model.log_probabilities(hidden).exp()
    said = torch.arange(len(question), len(question) + len(speech.ids))
    assert chances[said - 1].argmax(dim=-1).tolist() == list(speech.ids)
    torch.testing.assert_close(speech.hidden, hidden[said], atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(speech.chances, chances[said - 1].amax(dim=-1), atol=1e-3, rtol=1e-3)


def test_a_model_that_finds_no_end_is_stopped(nano: Sa2Va) -> None:
    assert len(speak(nano.model, _prefix(nano), _question(nano), ends=()).ids) == MOST_TOKENS


def test_an_answer_may_end_at_once(nano: Sa2Va) -> None:
    first = speak(nano.model, _prefix(nano), _question(nano), ends=()).ids[0]
    silence = speak(nano.model, _prefix(nano), _question(nano), ends={first})
    assert silence.ids == () and silence.hidden.shape == (0, 160) and silence.chances.shape == (0,)


def test_words_are_spelt_as_people_write_them(tokenizer: Tokenizer) -> None:
    text = "there is <p>a red cup</p> [SEG], and two dogs."
    tokenizer.encode_special_tokens = False
    assert spelt(tokenizer, tuple(tokenizer.encode(text).ids)) == text


def test_every_seg_has_the_phrase_before_it() -> None:
    text = "there is <p>a red cup</p> [SEG] and <p>two dogs</p> [SEG]."
    assert phrases(text, "?") == ["a red cup", "two dogs"]


def test_a_seg_without_a_phrase_has_the_questions() -> None:
    assert phrases("Sure, [SEG].", "the cup") == ["the cup"]
    assert phrases("Nothing.", "the cup") == []
