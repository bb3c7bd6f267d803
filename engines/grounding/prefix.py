"""Pictures before every question about them, read once.

What the language model has made of them (its keys and values) is kept, so each further question costs its own
tokens only. The first questions are read in one go with the pictures.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional
from transformers import DynamicCache

from engines.grounding.model import SaModel, Written
from engines.grounding.packing import Packed, on_axes, pack


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """Pictures as they stand before a question, P tokens, T of which are theirs."""

    ids: tuple[int, ...]
    tokens: Tensor
    "(1, T, D)."
    deep: tuple[Tensor, ...] = ()
    "Each (T, D): see `Look.deep`."
    axes: Tensor | None = None
    "(A, P) int64 positions on the CPU; None where positions are counted."


@dataclass(frozen=True, slots=True, eq=False)
class Behind:
    """What the language model made of blocks behind a prefix."""

    hidden: Tensor
    "(1, S, D), after the final norm."
    starts: tuple[int, ...]
    "Index along S of the first token of every block."


class Prefix:
    """One conversation's beginning. Not for two threads; makes no gradients."""

    def __init__(self, model: SaModel, shown: Shown) -> None:
        self._model = model
        self._shown = shown
        self._memory: DynamicCache | None = None

    def read(self, blocks: Sequence[Sequence[int]]) -> Behind:
        """Blocks of ids, none of which sees another."""
        with self._remembered():
            return self._take(blocks)

    @contextmanager
    def talk(self, question: Sequence[int]) -> Iterator[Talk]:
        """A question to be answered word by word. What is said in it is forgotten behind it."""
        with self._remembered():
            yield Talk(self, self._take([question]).hidden[0, -1])

    @contextmanager
    def _remembered(self) -> Iterator[None]:
        try:
            yield
        finally:
            if self._memory is not None:
                self._memory.crop(len(self._shown.ids) - self._memory.get_seq_length())

    def _take(self, blocks: Sequence[Sequence[int]]) -> Behind:
        if self._memory is not None:
            packed, offset = pack((), [blocks]), len(self._shown.ids)
            behind = functional.pad(packed.bias, (offset, 0))
            written = self._written(packed.ids, packed.positions + offset, behind)
            return Behind(self._model.go_on(written, self._memory), packed.starts[0])
        packed = pack(self._shown.ids, [blocks])
        memory = DynamicCache()
        hidden = self._model.go_on(self._first(packed), memory)
        # Only now: a prefill that failed has left nothing to go on from.
        self._memory = memory
        offset = len(self._shown.ids)
        return Behind(hidden[:, offset:], tuple(start - offset for start in packed.starts[0]))

    def _say(self, token: int) -> Tensor:
        assert self._memory is not None
        place = torch.tensor([[self._memory.get_seq_length()]])
        return self._model.go_on(self._written(torch.tensor([[token]]), place), self._memory)[0, -1]

    def _first(self, packed: Packed) -> Written:
        model, device = self._model, self._model.device
        embedded, image = model.embed(packed.ids.to(device), self._shown.tokens)
        places = on_axes(packed.positions, self._shown.axes).to(device)
        return Written(embedded, places, packed.bias.to(device), image, self._shown.deep)

    def _written(self, ids: Tensor, counted: Tensor, bias: Tensor | None = None) -> Written:
        device = self._model.device
        embedded = self._model.mllm.model.language_model.embed_tokens(ids.to(device))
        return Written(
            embedded, on_axes(counted, self._shown.axes).to(device), None if bias is None else bias.to(device)
        )


class Talk:
    """A question that is being answered."""

    def __init__(self, prefix: Prefix, state: Tensor) -> None:
        self._prefix = prefix
        self.state = state
        "(D,) hidden state that tells the next token."

    def say(self, token: int) -> None:
        """Go on with this token; `state` is then its own."""
        self.state = self._prefix._say(token)
