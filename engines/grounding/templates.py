"""Sa2VA's chat templates: questions and answers as token ids.

A referring question is `<|im_start|>user\\n<img>…</img>\\nPlease segment {phrase} in this
image.<|im_end|>\\n<|im_start|>assistant\\n` (bytedance/Sa2VA, template `qwen_chat`, no system prompt). Its
answer is teacher-forced, "Sure, [SEG].": the grounder uses its probability and the hidden state at `[SEG]`.
Other questions are put verbatim, descriptions are requested with GLaMM's prompt (Rasheed et al., CVPR 2024);
their answers are generated.

Several frames each stand between `<img>` and `</img>` on a line of their own, oldest first.

The user's text is encoded as plain text: special tokens in it are not parsed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tokenizers import Encoding, Tokenizer

from engines.grounding.families.base import SpecialTokens
from engines.grounding.visual_prompts import introduce_regions
from streaming.errors import CheckpointError, InvalidQuery

SEG = "[SEG]"
IMAGE = "<IMG_CONTEXT>"
END = "<|im_end|>"
OTHER_EOS = ("<|endoftext|>", "</s>")
"Other end-of-sequence tokens that Qwen's models and InternLM2 generate at times."
SPECIAL = ("<img>", IMAGE, "</img>", SEG, "<p>", "</p>", "<vp>", "</vp>", "<|im_start|>", END)
"Special tokens of the InternVL family."
_TEXT_SPECIAL = (SEG, "<p>", "</p>", "<|im_start|>", END)
"Special tokens of every family."
_INTERNVL = SpecialTokens("<img>", IMAGE, "</img>")
ANSWER = f"Sure, {SEG}.{END}"
REFUSAL = f"Sorry, I cannot see it.{END}"
DESCRIBE = (
    "Could you please give me a detailed description of the image? "
    "Please respond with interleaved segmentation masks for the corresponding parts of the answer."
)
MAX_PHRASE_TOKENS = 48
"Longer phrases are cut. No referring expression of the public data sets is longer."
MAX_QUESTION_TOKENS = 128
"Longer questions are cut."


@dataclass(frozen=True, slots=True)
class Template:
    """The chat template of one tokenizer and one family: text to token ids."""

    opening: tuple[int, ...]
    "Ids before the first image."
    image_marks: tuple[int, int]
    "Ids of the tokens before and after an image's tokens."
    image_tokens: int
    "Image tokens per tile; 0 if the number depends on the image."
    answer: tuple[int, ...]
    "Ids of `ANSWER`, the teacher-forced answer."
    refusal: tuple[int, ...]
    "Ids of `REFUSAL`."
    seg_id: int
    image_id: int
    added_tokens: tuple[str, ...]
    "Added tokens that are not special, which the tokenizer would parse in plain text."
    tokenizer: Tokenizer

    @property
    def image_block(self) -> tuple[int, ...]:
        """Ids of one image: a placeholder per image token, between the image marks."""
        return self._image_block(self.image_tokens)

    def prefix(self, images: int = 1) -> list[int]:
        """Return the ids before the question, for images of one tile each."""
        return self.prefix_for([self.image_tokens] * images)

    def prefix_for(self, sizes: Sequence[int]) -> list[int]:
        """Return the ids before the question, for images with `sizes` image tokens."""
        line = self._marked("\n")
        return [*self.opening, *(token for size in sizes for token in (*self._image_block(size), *line))]

    def region_intro(self, sizes: Sequence[int]) -> list[int]:
        """Return the ids between image and question that introduce regions with `sizes` image tokens.

        Raises InvalidQuery if the family has no visual prompts.
        """
        if self.tokenizer.id_to_token(self.image_id) != IMAGE:
            raise InvalidQuery("This model takes no regions.", remedy="Ask a Sa2VA of the InternVL family.")
        return self._marked(introduce_regions(IMAGE, list(sizes)))

    def _image_block(self, size: int) -> tuple[int, ...]:
        start, end = self.image_marks
        return (start, *(self.image_id,) * size, end)

    def segment_question(self, phrase: str) -> list[int]:
        """Return the ids of the request to segment a phrase, up to the start of the answer."""
        return self.user_question(f"Please segment {self.cut(phrase, MAX_PHRASE_TOKENS)} in this image.")

    def user_question(self, text: str) -> list[int]:
        """Return the ids of a question, up to the start of the answer."""
        return [
            *self._plain(self.cut(text, MAX_QUESTION_TOKENS)),
            *self._marked(f"{END}\n<|im_start|>assistant\n"),
        ]

    @property
    def eos_id(self) -> int:
        """Id that ends an answer in training."""
        return self.answer[-1]

    @property
    def eos_ids(self) -> frozenset[int]:
        """Ids that end a generated answer."""
        others = (self.tokenizer.token_to_id(token) for token in OTHER_EOS)
        return frozenset({self.eos_id, *(number for number in others if number is not None)})

    def assistant_answer(self, text: str) -> list[int]:
        """Return the ids of an answer with its end. Special tokens are parsed: not for text of the user."""
        return self._marked(text + END)

    @property
    def seg_offset(self) -> int:
        """Index of `[SEG]` in the answer."""
        return self.answer.index(self.seg_id)

    def cut(self, text: str, max_tokens: int) -> str:
        """Return the beginning of a text that is read, on one line: `max_tokens` at most."""
        text = _one_line(text)
        encoded = self._encode_plain(text)
        return text if len(encoded.ids) <= max_tokens else text[: encoded.offsets[max_tokens - 1][1]]

    def _plain(self, text: str) -> list[int]:
        return list(self._encode_plain(text).ids)

    def _encode_plain(self, text: str) -> Encoding:
        self.tokenizer.encode_special_tokens = True
        for token in self.added_tokens:
            text = text.replace(token, f"{token[0]} {token[1:]}")
        return self.tokenizer.encode(text, add_special_tokens=False)

    def _marked(self, text: str) -> list[int]:
        return _marked(self.tokenizer, text)


def make_template(
    tokenizer: Tokenizer, image_tokens: int, special_tokens: SpecialTokens = _INTERNVL
) -> Template:
    """Encode the fixed parts; `image_tokens` is 0 if the number depends on the image.

    Raises CheckpointError if the tokenizer lacks a special token of Sa2VA or of the family.
    """
    needed = (
        SPECIAL
        if special_tokens.image == IMAGE
        else (*_TEXT_SPECIAL, special_tokens.image_start, special_tokens.image, special_tokens.image_end)
    )
    known = ((token, tokenizer.token_to_id(token)) for token in needed)
    ids = {token: number for token, number in known if number is not None}
    if missing := [token for token in needed if token not in ids]:
        raise CheckpointError(
            f"The tokenizer has no {', '.join(missing)}.", remedy="Use the tokenizer of a Sa2VA checkpoint."
        )
    return Template(
        opening=tuple(_marked(tokenizer, f"{special_tokens.bos}<|im_start|>user\n")),
        image_marks=(ids[special_tokens.image_start], ids[special_tokens.image_end]),
        image_tokens=image_tokens,
        answer=tuple(_marked(tokenizer, ANSWER)),
        refusal=tuple(_marked(tokenizer, REFUSAL)),
        seg_id=ids[SEG],
        image_id=ids[special_tokens.image],
        added_tokens=tuple(
            token.content
            for token in tokenizer.get_added_tokens_decoder().values()
            if not token.special and len(token.content.strip()) > 1
        ),
        tokenizer=tokenizer,
    )


def _marked(tokenizer: Tokenizer, text: str) -> list[int]:
    tokenizer.encode_special_tokens = False
    return list(tokenizer.encode(text, add_special_tokens=False).ids)


def _one_line(text: str) -> str:
    return " ".join(text.split())
