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

from dataclasses import dataclass

from tokenizers import Encoding, Tokenizer

from streaming.errors import CheckpointError

SEG = "[SEG]"
IMAGE = "<IMG_CONTEXT>"
END = "<|im_end|>"
SPECIAL = ("<img>", IMAGE, "</img>", SEG, "<p>", "</p>", "<vp>", "</vp>", "<|im_start|>", END)
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
    """Turns phrases into ids for one tokenizer and one number of image tokens."""

    picture: tuple[int, ...]
    "Ids of one picture: a place for each of its image tokens, and the marks around them."
    answer: tuple[int, ...]
    "Ids of `ANSWER`."
    refusal: tuple[int, ...]
    seg_id: int
    image_id: int
    tokenizer: Tokenizer

    def prefix(self, pictures: int = 1) -> list[int]:
        """Ids of everything before the question; the same for every question about these pictures."""
        line = self._marked("\n")
        shown = [token for _ in range(pictures) for token in (*self.picture, *line)]
        return [*self._marked("<|im_start|>user\n"), *shown]

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
        """What ends an answer."""
        return self.answer[-1]

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
        return self.tokenizer.encode(text, add_special_tokens=False)

    def _marked(self, text: str) -> list[int]:
        return _marked(self.tokenizer, text)


def make_template(tokenizer: Tokenizer, image_tokens: int) -> Template:
    """Prepare the fixed parts. Raises `CheckpointError` where the tokenizer lacks a Sa2VA token."""
    ids = {token: tokenizer.token_to_id(token) for token in SPECIAL}
    missing = [token for token, number in ids.items() if number is None]
    seg_id, image_id = ids[SEG], ids[IMAGE]
    if seg_id is None or image_id is None or missing:
        raise CheckpointError(
            f"The tokenizer has no {', '.join(missing)}.", remedy="Use the tokenizer of a Sa2VA checkpoint."
        )
    return Template(
        picture=tuple(_marked(tokenizer, "<img>" + IMAGE * image_tokens + "</img>")),
        answer=tuple(_marked(tokenizer, ANSWER)),
        refusal=tuple(_marked(tokenizer, REFUSAL)),
        seg_id=seg_id,
        image_id=image_id,
        tokenizer=tokenizer,
    )


def _marked(tokenizer: Tokenizer, text: str) -> list[int]:
    tokenizer.encode_special_tokens = False
    return list(tokenizer.encode(text, add_special_tokens=False).ids)


def _one_line(text: str) -> str:
    return " ".join(text.split())
