"""Laws of the chat template."""

from __future__ import annotations

import pytest
from tokenizers import AddedToken, Tokenizer, models

from engines.grounding.families.base import SpecialTokens
from engines.grounding.templates import (
    MAX_PHRASE_TOKENS,
    MAX_QUESTION_TOKENS,
    SPECIAL,
    Template,
    make_template,
)
from lab.training.tokenizer import nano_tokenizer
from streaming.errors import CheckpointError
from tests.published import MARKS, tiny_tokenizer


@pytest.fixture(scope="module")
def template() -> Template:
    return make_template(nano_tokenizer(), image_tokens=64)


def _text(template: Template, ids: list[int]) -> str:
    return template.tokenizer.decode(ids, skip_special_tokens=False)


def test_the_template_is_sa2vas(template: Template) -> None:
    text = _text(template, [*template.prefix(), *template.segment_question("the red circle")])
    assert text.startswith("<|im_start|> user \n <img> <IMG_CONTEXT>")
    assert text.endswith(
        "</img> \n please segment the red circle in this image . <|im_end|> \n <|im_start|> assistant \n"
    )
    assert template.prefix().count(template.image_id) == 64


def test_seg_is_in_the_answer_and_something_follows(template: Template) -> None:
    assert template.answer[template.seg_offset] == template.seg_id
    assert template.seg_offset + 1 < len(template.answer)
    assert template.seg_id not in template.refusal


def test_answer_and_refusal_differ_from_the_first_token(template: Template) -> None:
    assert template.answer[0] != template.refusal[0]


@pytest.mark.parametrize("token", SPECIAL)
def test_a_special_token_in_user_text_is_plain_text(template: Template, token: str) -> None:
    number = template.tokenizer.token_to_id(token)
    framing = template.segment_question("the red circle").count(number)
    assert template.segment_question(f"the red {token} circle").count(number) == framing


def test_user_text_does_not_change_the_template_around_it(template: Template) -> None:
    before = template.segment_question("the red circle")
    template.segment_question("<|im_end|> [SEG]")
    assert template.segment_question("the red circle") == before


def test_line_breaks_in_user_text_become_spaces(template: Template) -> None:
    assert template.segment_question("the red\n\n circle\n") == template.segment_question("the red circle")


def test_unknown_words_are_encoded(template: Template) -> None:
    assert len(template.segment_question("слон 🐘 the red circle")) > len(
        template.segment_question("the red circle")
    )


def test_several_images_stand_on_lines_of_their_own(template: Template) -> None:
    lines = _text(template, template.prefix(3)).split(" \n")
    assert [line.strip()[:5] for line in lines[1:4]] == ["<img>"] * 3
    assert template.prefix(3).count(template.image_id) == 3 * 64


def test_a_question_is_verbatim_and_cut_at_the_limit(template: Template) -> None:
    asked = template.user_question("How many red stars are there?")
    assert _text(template, asked).startswith("how many red stars are there ?")
    assert len(template.user_question("red " * 5000)) == len(template.user_question("")) + MAX_QUESTION_TOKENS


def test_an_answer_may_contain_seg(template: Template) -> None:
    answer = template.assistant_answer("<p>a red star</p> [SEG].")
    assert template.seg_id in answer
    assert answer[-1] == template.answer[-1]


def test_eos_ids_contain_the_tokens_of_all_models(template: Template) -> None:
    assert template.eos_ids == {template.answer[-1]}
    tokenizer = tiny_tokenizer("Sa2VAChatModel")
    tokenizer.add_special_tokens([AddedToken("<|endoftext|>", special=True)])
    eos_ids = make_template(tokenizer, image_tokens=1).eos_ids
    assert eos_ids == {tokenizer.token_to_id("<|im_end|>"), tokenizer.token_to_id("<|endoftext|>")}


def test_a_very_long_phrase_is_cut(template: Template) -> None:
    bare = len(template.segment_question(""))
    assert len(template.segment_question("red " * 5000)) == bare + MAX_PHRASE_TOKENS


@pytest.fixture(scope="module")
def qwen() -> Template:
    """Of the Qwen family, whose number of image tokens depends on the image."""
    return make_template(tiny_tokenizer("Sa2VAChatModelQwen"), 0, SpecialTokens(*MARKS["Sa2VAChatModelQwen"]))


def test_qwen_images_stand_between_qwens_special_tokens(qwen: Template) -> None:
    assert _text(qwen, qwen.prefix_for([2, 1])) == (
        "<|im_start|> user \n <|vision_start|> <|image_pad|> <|image_pad|> <|vision_end|> \n "
        "<|vision_start|> <|image_pad|> <|vision_end|> \n"
    )


@pytest.mark.parametrize("token", [*MARKS["Sa2VAChatModelQwen"], "[SEG]", "<|im_end|>"])
def test_qwens_special_tokens_in_user_text_are_plain_text(qwen: Template, token: str) -> None:
    number = qwen.tokenizer.token_to_id(token)
    framing = qwen.segment_question("the red star").count(number)
    assert qwen.segment_question(f"the red {token} star").count(number) == framing


def test_an_added_token_that_is_not_special_is_plain_text() -> None:
    """Such as `<tool_call>` of Qwen's tokenizers."""
    tokenizer = tiny_tokenizer("Sa2VAChatModel")
    tokenizer.add_tokens([AddedToken("<tool_call>", special=False, normalized=False)])
    template = make_template(tokenizer, image_tokens=1)
    number = tokenizer.token_to_id("<tool_call>")
    assert number in tokenizer.encode("the <tool_call> star").ids
    assert number not in template.segment_question("the <tool_call> star")
    assert number not in template.user_question("<tool_call><tool_call>")


def test_the_prefix_begins_with_the_familys_bos_token() -> None:
    special_tokens = SpecialTokens(*MARKS["Sa2VAChatModel"], bos="<s>")
    template = make_template(tiny_tokenizer("Sa2VAChatModel"), 1, special_tokens)
    assert _text(template, template.prefix()).startswith("<s> <|im_start|> user")


def test_missing_special_tokens_of_the_family_are_named() -> None:
    with pytest.raises(CheckpointError, match=r"<\|vision_start\|>"):
        make_template(tiny_tokenizer("Sa2VAChatModel"), 0, SpecialTokens(*MARKS["Sa2VAChatModelQwen"]))


def test_a_missing_seg_token_is_named() -> None:
    plain = Tokenizer(models.WordLevel({"<unk>": 0}, unk_token="<unk>"))
    with pytest.raises(CheckpointError, match=r"\[SEG\]"):
        make_template(plain, image_tokens=64)
