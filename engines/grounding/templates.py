"""The words around a person's words: Sa2VA's prompts as token ids.

A referring question is `<|im_start|>user\\n<img>…</img>\\nPlease segment {phrase} in this
image.<|im_end|>\\n<|im_start|>assistant\\n` (bytedance/Sa2VA, template `qwen_chat`, no system prompt).
Its answer is never generated but given, "Sure, [SEG].": what counts is how likely the model holds it,
and its hidden state at `[SEG]`. Other questions are put as they are, and descriptions asked for in GLaMM's
words (Rasheed et al., CVPR 2024); their answers are generated.

Several pictures, as of a film, stand each between `<img>` and `</img>` on a line of its own, oldest first.

A person's words are only ever text: special tokens spelt in them are not obeyed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tokenizers import Encoding, Tokenizer

from engines.grounding.families.base import Marks
from engines.grounding.visual_prompts import introduced
from streaming.errors import CheckpointError, InvalidQuery

SEG = "[SEG]"
IMAGE = "<IMG_CONTEXT>"
END = "<|im_end|>"
OTHER_ENDS = ("<|endoftext|>", "</s>")
"Said now and then instead, by Qwen's models and by InternLM2."
SPECIAL = ("<img>", IMAGE, "</img>", SEG, "<p>", "</p>", "<vp>", "</vp>", "<|im_start|>", END)
"Of the InternVL family."
_SAYING = (SEG, "<p>", "</p>", "<|im_start|>", END)
"Of every family."
_INTERNVL = Marks("<img>", IMAGE, "</img>")
ANSWER = f"Sure, {SEG}.{END}"
REFUSAL = f"Sorry, I cannot see it.{END}"
DESCRIBE = (
    "Could you please give me a detailed description of the image? "
    "Please respond with interleaved segmentation masks for the corresponding parts of the answer."
)
MAX_PHRASE_TOKENS = 48
"Longer phrases are cut: no referring expression of the public sets is longer, and a prefill grows with it."

MAX_QUESTION_TOKENS = 128
"The same of any other question."


@dataclass(frozen=True, slots=True)
class Template:
    """Turns phrases into ids for one tokenizer and one family's marks."""

    opening: tuple[int, ...]
    "Ids of what stands before the first picture."
    around: tuple[int, int]
    "Ids of the marks before and behind a picture's tokens."
    image_tokens: int
    "How many a picture has, where nothing else is said."
    answer: tuple[int, ...]
    "Ids of `ANSWER`."
    refusal: tuple[int, ...]
    seg_id: int
    image_id: int
    loud: tuple[str, ...]
    "Tokens that a tokenizer obeys although they are not special."
    tokenizer: Tokenizer

    @property
    def picture(self) -> tuple[int, ...]:
        """Ids of one picture: a place for each of its image tokens, and the marks around them."""
        return self._picture(self.image_tokens)

    def prefix(self, pictures: int = 1) -> list[int]:
        """Ids of everything before the question; the same for every question about these pictures."""
        return self.shown([self.image_tokens] * pictures)

    def shown(self, sizes: Sequence[int]) -> list[int]:
        """The same, of pictures with so many image tokens each."""
        line = self._marked("\n")
        return [*self.opening, *(token for size in sizes for token in (*self._picture(size), *line))]

    def regions(self, sizes: Sequence[int]) -> list[int]:
        """What stands behind a picture whose regions are asked about, with so many image tokens each.

        Raises InvalidQuery where the model was not taught regions.
        """
        if self.tokenizer.id_to_token(self.image_id) != IMAGE:
            raise InvalidQuery("This model takes no regions.", remedy="Ask a Sa2VA of the InternVL family.")
        return self._marked(introduced(IMAGE, list(sizes)))

    def _picture(self, size: int) -> tuple[int, ...]:
        before, behind = self.around
        return (before, *(self.image_id,) * size, behind)

    def question(self, phrase: str) -> list[int]:
        """Ids of the question where a phrase's thing is, up to where the answer begins."""
        return self.asked(f"Please segment {self._cut(_one_line(phrase), MAX_PHRASE_TOKENS)} in this image.")

    def asked(self, text: str) -> list[int]:
        """Ids of any question, up to where the answer begins."""
        return [
            *self._spoken(self._cut(_one_line(text), MAX_QUESTION_TOKENS)),
            *self._marked(f"{END}\n<|im_start|>assistant\n"),
        ]

    @property
    def end_id(self) -> int:
        """What ends an answer as it is taught."""
        return self.answer[-1]

    @property
    def ends(self) -> frozenset[int]:
        """Whatever ends an answer as it is said."""
        others = (self.tokenizer.token_to_id(token) for token in OTHER_ENDS)
        return frozenset({self.end_id, *(number for number in others if number is not None)})

    def answered(self, text: str) -> list[int]:
        """Ids of an answer and its end. Its tokens are obeyed: only for words that are our own."""
        return self._marked(text + END)

    @property
    def seg_offset(self) -> int:
        """Place of `[SEG]` in the answer."""
        return self.answer.index(self.seg_id)

    def knows(self, phrase: str) -> bool:
        """Whether every word of the phrase is in the vocabulary."""
        unknown = self.tokenizer.token_to_id("<unk>")
        return unknown is None or unknown not in self._spoken(_one_line(phrase))

    def _cut(self, text: str, most: int) -> str:
        encoded = self._encode_plain(text)
        return text if len(encoded.ids) <= most else text[: encoded.offsets[most - 1][1]]

    def _spoken(self, text: str) -> list[int]:
        return list(self._encode_plain(text).ids)

    def _encode_plain(self, text: str) -> Encoding:
        self.tokenizer.encode_special_tokens = True
        for token in self.loud:
            text = text.replace(token, f"{token[0]} {token[1:]}")
        return self.tokenizer.encode(text, add_special_tokens=False)

    def _marked(self, text: str) -> list[int]:
        return _marked(self.tokenizer, text)


def make_template(tokenizer: Tokenizer, image_tokens: int, marks: Marks = _INTERNVL) -> Template:
    """Prepare the fixed parts; `image_tokens` is 0 where every picture has its own number.

    Raises `CheckpointError` where the tokenizer lacks a token of Sa2VA or of the family.
    """
    needed = SPECIAL if marks.image == IMAGE else (*_SAYING, marks.opening, marks.image, marks.closing)
    known = ((token, tokenizer.token_to_id(token)) for token in needed)
    ids = {token: number for token, number in known if number is not None}
    if missing := [token for token in needed if token not in ids]:
        raise CheckpointError(
            f"The tokenizer has no {', '.join(missing)}.", remedy="Use the tokenizer of a Sa2VA checkpoint."
        )
    return Template(
        opening=tuple(_marked(tokenizer, f"{marks.begin}<|im_start|>user\n")),
        around=(ids[marks.opening], ids[marks.closing]),
        image_tokens=image_tokens,
        answer=tuple(_marked(tokenizer, ANSWER)),
        refusal=tuple(_marked(tokenizer, REFUSAL)),
        seg_id=ids[SEG],
        image_id=ids[marks.image],
        loud=tuple(
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
