"""Laws of greedy decoding."""

from __future__ import annotations

import pytest
import torch
from tokenizers import Tokenizer

from engines.grounding.checkpoints import Sa2Va
from engines.grounding.generation import MAX_NEW_TOKENS, decode_text, generate, phrases
from engines.grounding.model import normalise
from engines.grounding.prefix import Prefix, PrefixTokens
from lab.training.initial_weights import initial_grounder
from lab.training.nano_config import VISION_SIDE_PX
from lab.training.tokenizer import nano_tokenizer
from lab.training.world.scenes import draw_clip


@pytest.fixture(scope="module")
def nano() -> Sa2Va:
    torch.set_num_threads(1)
    checkpoint = initial_grounder(4)
    checkpoint.model.eval().requires_grad_(False)
    return checkpoint


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return nano_tokenizer()


def _prefix(nano: Sa2Va) -> Prefix:
    tokens = nano.model.encode_images(
        normalise(draw_clip(1, frames=1, size=(VISION_SIDE_PX,) * 2).frames)
    ).tokens
    return Prefix(nano.model, PrefixTokens(tuple(nano.template.prefix()), tokens))


def _question(nano: Sa2Va) -> list[int]:
    return nano.template.user_question("how many red circles are there?")


def test_generated_tokens_are_the_argmax_of_a_single_prefill(nano: Sa2Va) -> None:
    question = _question(nano)
    generated = generate(nano.model, _prefix(nano), question, nano.template.eos_ids)
    hidden = _prefix(nano).prefill([[*question, *generated.ids]]).hidden[0]
    probs = nano.model.token_log_probs(hidden).exp()
    places = torch.arange(len(question), len(question) + len(generated.ids))
    assert probs[places - 1].argmax(dim=-1).tolist() == list(generated.ids)
    torch.testing.assert_close(generated.hidden, hidden[places], atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(generated.probs, probs[places - 1].amax(dim=-1), atol=1e-3, rtol=1e-3)


def test_generation_stops_at_max_new_tokens(nano: Sa2Va) -> None:
    assert len(generate(nano.model, _prefix(nano), _question(nano), eos_ids=()).ids) == MAX_NEW_TOKENS


def test_an_answer_may_be_empty(nano: Sa2Va) -> None:
    first = generate(nano.model, _prefix(nano), _question(nano), eos_ids=()).ids[0]
    silence = generate(nano.model, _prefix(nano), _question(nano), eos_ids={first})
    assert silence.ids == () and silence.hidden.shape == (0, 160) and silence.probs.shape == (0,)


def test_decoded_text_has_no_spaces_before_punctuation(tokenizer: Tokenizer) -> None:
    text = "there is <p>a red cup</p> [SEG], and two dogs."
    tokenizer.encode_special_tokens = False
    assert decode_text(tokenizer, tuple(tokenizer.encode(text).ids)) == text


def test_every_seg_has_the_last_phrase_before_it() -> None:
    text = "there is <p>a red cup</p> [SEG] and <p>two dogs</p> [SEG]."
    assert phrases(text, "?") == ["a red cup", "two dogs"]


def test_a_seg_without_a_phrase_has_the_question() -> None:
    assert phrases("Sure, [SEG].", "the cup") == ["the cup"]
    assert phrases("Nothing.", "the cup") == []
