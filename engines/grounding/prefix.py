"""Prefixes: images and the tokens around them, read once before all questions about them.

The prefix stays in the language model's KV cache, so a further question costs only its own tokens. The first
questions are read in the same prefill as the images.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional
from transformers import DynamicCache

from engines.grounding.model import LanguageModelInputs, SaModel
from engines.grounding.packing import Packed, expand_positions, pack


@dataclass(frozen=True, slots=True, eq=False)
class PrefixTokens:
    """The P tokens of a prefix, of which T are image tokens."""

    ids: tuple[int, ...]
    image_tokens: Tensor
    "(1, T, D)."
    deepstack: tuple[Tensor, ...] = ()
    "Each (T, D): see `ImageFeatures.deepstack`."
    position_ids: Tensor | None = None
    "(A, P) int64 on the CPU, for position ids with A axes; None: 0, 1, 2, …"


@dataclass(frozen=True, slots=True, eq=False)
class PrefillOutput:
    """Hidden states of the blocks of tokens behind a prefix."""

    hidden: Tensor
    "(1, S, D), after the final norm."
    starts: tuple[int, ...]
    "Index along S of the first token of every block."


class Prefix:
    """A prefix and its KV cache. Not thread-safe; without gradients."""

    def __init__(self, model: SaModel, tokens: PrefixTokens) -> None:
        self._model = model
        self._tokens = tokens
        self._kv_cache: DynamicCache | None = None
        "Between calls it holds the prefix alone; None before the first prefill."

    def prefill(self, blocks: Sequence[Sequence[int]]) -> PrefillOutput:
        """Read blocks of ids behind the prefix; blocks do not attend to each other."""
        with self._cropped():
            return self._prefill(blocks)

    @contextmanager
    def decode(self, question: Sequence[int]) -> Iterator[Decoding]:
        """Read a question and yield the state for decoding its answer token by token.

        On exit the question and its answer are removed from the KV cache.
        """
        with self._cropped():
            yield Decoding(self, self._prefill([question]).hidden[0, -1])

    @contextmanager
    def _cropped(self) -> Iterator[None]:
        """Crop the KV cache to the prefix on exit."""
        try:
            yield
        finally:
            if self._kv_cache is not None:
                self._kv_cache.crop(len(self._tokens.ids) - self._kv_cache.get_seq_length())

    def _prefill(self, blocks: Sequence[Sequence[int]]) -> PrefillOutput:
        if self._kv_cache is not None:
            packed, offset = pack((), [blocks]), len(self._tokens.ids)
            bias = functional.pad(packed.bias, (offset, 0))
            inputs = self._text_inputs(packed.ids, packed.positions + offset, bias)
            return PrefillOutput(self._model.forward_cached(inputs, self._kv_cache), packed.starts[0])
        packed = pack(self._tokens.ids, [blocks])
        kv_cache = DynamicCache()
        hidden = self._model.forward_cached(self._first_inputs(packed), kv_cache)
        # Only now: after a failed prefill the cache does not hold the whole prefix.
        self._kv_cache = kv_cache
        offset = len(self._tokens.ids)
        return PrefillOutput(hidden[:, offset:], tuple(start - offset for start in packed.starts[0]))

    def _decode_step(self, token: int) -> Tensor:
        assert self._kv_cache is not None
        position = torch.tensor([[self._kv_cache.get_seq_length()]])
        inputs = self._text_inputs(torch.tensor([[token]]), position)
        return self._model.forward_cached(inputs, self._kv_cache)[0, -1]

    def _first_inputs(self, packed: Packed) -> LanguageModelInputs:
        """Return inputs that begin with the prefix."""
        model, device = self._model, self._model.device
        embeds, image_mask = model.embed(packed.ids.to(device), self._tokens.image_tokens)
        position_ids = expand_positions(packed.positions, self._tokens.position_ids).to(device)
        return LanguageModelInputs(
            embeds, position_ids, packed.bias.to(device), image_mask, self._tokens.deepstack
        )

    def _text_inputs(self, ids: Tensor, positions: Tensor, bias: Tensor | None = None) -> LanguageModelInputs:
        device = self._model.device
        embeds = self._model.mllm.model.language_model.embed_tokens(ids.to(device))
        position_ids = expand_positions(positions, self._tokens.position_ids).to(device)
        return LanguageModelInputs(embeds, position_ids, None if bias is None else bias.to(device))


class Decoding:
    """An answer that is being decoded behind a question."""

    def __init__(self, prefix: Prefix, hidden: Tensor) -> None:
        self._prefix = prefix
        self.hidden = hidden
        "(D,) last hidden state, from which the next token is predicted."

    def append(self, token: int) -> None:
        """Append a token to the answer; `hidden` becomes the hidden state at that token."""
        self.hidden = self._prefix._decode_step(token)
