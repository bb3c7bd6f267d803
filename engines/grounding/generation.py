"""Greedy decoding of answers in words, and the phrases that their `[SEG]` tokens refer to.

Every `[SEG]` of an answer stands for an object. Its phrase is the last text between `<p>` and `</p>` before
it (GLaMM's format, in which Sa2VA was trained), or the question if there is none.
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

MAX_NEW_TOKENS: Final = 256
"""Tokens of an answer at most. nano's captions have fewer than 60, a caption that names a dozen objects with
their marks about 200; longer answers are cut here."""
_PHRASE: Final = re.compile(r"<p>(.*?)</p>", re.DOTALL)


@dataclass(frozen=True, slots=True, eq=False)
class Generated:
    """A generated answer of A tokens."""

    ids: tuple[int, ...]
    "Without the end-of-sequence token."
    hidden: Tensor
    "(A, D): hidden state at each token, after the final norm."
    probs: Tensor
    "(A,) float32: probability of each token."


OnTokens = Callable[[tuple[int, ...]], None]
"Called with all ids generated so far, after each token. An exception that it raises ends the generation."


def ignore_tokens(ids: tuple[int, ...]) -> None:
    """Do nothing: an `OnTokens` for callers that want the whole answer only."""
    del ids


def generate(
    model: SaModel,
    prefix: Prefix,
    question: list[int],
    eos_ids: Collection[int],
    on_tokens: OnTokens = ignore_tokens,
) -> Generated:
    """Answer a question about the images of the prefix by greedy decoding. Raises what `on_tokens` raises."""
    ids: list[int] = []
    hidden: list[Tensor] = []
    probs: list[Tensor] = []
    with prefix.decode(question) as decoding:
        empty = decoding.hidden[None][:0]
        while len(ids) < MAX_NEW_TOKENS:
            prob, best = model.token_log_probs(decoding.hidden).exp().max(dim=-1)
            if int(best) in eos_ids:
                break
            decoding.append(int(best))
            ids.append(int(best))
            hidden.append(decoding.hidden)
            probs.append(prob)
            on_tokens(tuple(ids))
    return Generated(
        ids=tuple(ids),
        hidden=torch.stack(hidden) if hidden else empty,
        probs=torch.stack(probs) if probs else empty[:, 0].float(),
    )


def decode_text(tokenizer: Tokenizer, ids: tuple[int, ...]) -> str:
    """Decode ids to text without spaces before punctuation; `<p>`, `</p>` and `[SEG]` stay in it."""
    text = tokenizer.decode(list(ids), skip_special_tokens=False)
    text = re.sub(r"\s+([.,?!])", r"\1", " ".join(text.split()))
    text = re.sub(r"<p>\s+", "<p>", text)
    return re.sub(r"\s+</p>", "</p>", text)


def phrases(text: str, question: str) -> list[str]:
    """Return the phrase of every `[SEG]` in a decoded answer, in order."""
    found = []
    for part in text.split(SEG)[:-1]:
        marked = _PHRASE.findall(part)
        found.append(marked[-1].strip() if marked else question)
    return found
