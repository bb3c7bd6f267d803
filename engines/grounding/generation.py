"""Answers in words: generated token by token, the likeliest each time, and what they point at.

Every `[SEG]` of an answer points at something; its phrase is the last one between `<p>` and `</p>` before it
(GLaMM's form, as Sa2VA was trained), or the question where there is none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

import torch
from tokenizers import Tokenizer
from torch import Tensor

from engines.grounding.model import SaModel
from engines.grounding.prefix import Prefix
from engines.grounding.templates import SEG

MOST_TOKENS: Final = 256
"""Of an answer. A caption of nano's is below 60, one that names a dozen things with their marks about 200; a
model that does not find its end is stopped."""
_PHRASE: Final = re.compile(r"<p>(.*?)</p>", re.DOTALL)


@dataclass(frozen=True, slots=True, eq=False)
class Speech:
    """A generated answer of A tokens."""

    ids: tuple[int, ...]
    "Without the token that ends it."
    hidden: Tensor
    "(A, D): the state at each token, after the final norm."
    chances: Tensor
    "(A,) float32: how probable each token was."


Hear = Callable[[tuple[int, ...]], None]
"Is told an answer's ids so far, after every one of them. What it raises ends the answer."


def nobody(ids: tuple[int, ...]) -> None:
    """A `Hear` that does not listen."""
    del ids


def speak(
    model: SaModel, prefix: Prefix, question: list[int], ends: Collection[int], hear: Hear = nobody
) -> Speech:
    """Answer a question about what the prefix shows. Raises what `hear` raises."""
    said: list[int] = []
    hidden: list[Tensor] = []
    chances: list[Tensor] = []
    with prefix.talk(question) as talk:
        nothing = talk.state[None][:0]
        while len(said) < MOST_TOKENS:
            chance, best = model.log_probabilities(talk.state).exp().max(dim=-1)
            if int(best) in ends:
                break
            talk.say(int(best))
            said.append(int(best))
            hidden.append(talk.state)
            chances.append(chance)
            hear(tuple(said))
    return Speech(
        ids=tuple(said),
        hidden=torch.stack(hidden) if hidden else nothing,
        chances=torch.stack(chances) if chances else nothing[:, 0].float(),
    )


def spelt(tokenizer: Tokenizer, ids: tuple[int, ...]) -> str:
    """Ids as a person reads them, `<p>`, `</p>` and `[SEG]` left in."""
    text = tokenizer.decode(list(ids), skip_special_tokens=False)
    text = re.sub(r"\s+([.,?!])", r"\1", " ".join(text.split()))
    text = re.sub(r"<p>\s+", "<p>", text)
    return re.sub(r"\s+</p>", "</p>", text)


def phrases(text: str, question: str) -> list[str]:
    """The phrase of every `[SEG]` in a spelt answer."""
    found = []
    for part in text.split(SEG)[:-1]:
        named = _PHRASE.findall(part)
        found.append(named[-1].strip() if named else question)
    return found
