"""Answers in words: generated token by token, the likeliest each time, and what they point at.

Every `[SEG]` of an answer points at something; its phrase is the last one between `<p>` and `</p>` before it
(GLaMM's form, as Sa2VA was trained), or the question where there is none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import torch
from tokenizers import Tokenizer
from torch import Tensor
from transformers import DynamicCache

from engines.grounding.model import SaModel
from engines.grounding.templates import SEG

MOST_TOKENS: Final = 96
"Of an answer. A caption of nano's is below 60; a model that does not find its end is stopped."
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


def speak(model: SaModel, tokens: Tensor, asked: list[int], end_id: int) -> Speech:
    """Answer `asked`, ids with a place for each of the image tokens (1, T, D)."""
    language, cache = model.mllm.model.language_model, DynamicCache()
    ids = torch.tensor([asked])
    embedded = language.embed_tokens(ids)
    image = ids == model.mllm.config.image_token_id
    embedded = embedded.masked_scatter(image[..., None], tokens.to(embedded.dtype))
    said: list[int] = []
    hidden: list[Tensor] = []
    chances: list[Tensor] = []
    while True:
        state = language(inputs_embeds=embedded, past_key_values=cache, use_cache=True).last_hidden_state[
            0, -1
        ]
        if said:
            hidden.append(state)
        chance, best = model.log_probabilities(state).exp().max(dim=-1)
        if int(best) == end_id or len(said) == MOST_TOKENS:
            break
        said.append(int(best))
        chances.append(chance)
        embedded = language.embed_tokens(best.view(1, 1))
    nothing = state[None][:0]
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
