"""What the grounder needs of a family of multimodal language models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from torch import Tensor

from engines.grounding.weight_layout import Place
from streaming.errors import CheckpointError
from streaming.vocabulary import Pixels

Config = Mapping[str, Any]
"The content of config.json, or a part of it."

_TEXT: Final = (
    "hidden_size intermediate_size num_hidden_layers num_attention_heads num_key_value_heads head_dim "
    "hidden_act vocab_size max_position_embeddings initializer_range rms_norm_eps rope_theta rope_scaling "
    "rope_parameters attention_bias"
)
TEXT_KEYS: Final = tuple(_TEXT.split())
"""What shapes a language model. Of the rest of a published configuration, as old libraries wrote it, much
would ask for what is not here (flash attention), and nothing changes a number."""


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """Pictures as the language model sees them; shared by every question about them."""

    patches: Tensor
    "(B, P, C) patch states of the vision tower, row by row, without the class token."
    tokens: Tensor
    "(B, T, D) image tokens of the language model, row by row."
    deep: tuple[Tensor, ...] = ()
    "Each (B, T, D): what is added to the image tokens behind each of the language model's first layers."


@dataclass(frozen=True, slots=True)
class Marks:
    """The special tokens around and instead of a picture."""

    opening: str
    image: str
    closing: str
    begin: str = ""
    "What stands before everything, where the tokenizer was trained to put it there."


class Family(Protocol):
    """One way to lay out, to build and to run a multimodal language model. Without state.

    `mllm` is always what `make` made: transformers' own module, with `lm_head` and `model.language_model`.
    """

    @property
    def marks(self) -> Marks:
        """The special tokens of its prompts."""
        ...

    def make(self) -> Any:
        """The module, untrained."""
        ...

    def place(self, name: str) -> Place:
        """Where a tensor of the module is in a published checkpoint."""
        ...

    def prepare(self, pixels: Pixels, tiles: int) -> Tensor:
        """(H, W, 3) uint8 RGB → (B, 3, h, w) float32, normalised: a picture, in at most so many tiles where
        the family knows tiles.

        Raises InvalidQuery where a picture of that shape cannot be looked at.
        """
        ...

    def tokens(self, height: int, width: int) -> int:
        """How many image tokens stand for one picture or tile that `prepare` made so large."""
        ...

    def look(self, mllm: Any, pixels: Tensor) -> Look:
        """What `mllm` sees of (B, 3, h, w)."""
        ...

    def scores(self, mllm: Any, hidden: Tensor) -> Tensor:
        """(…, D) hidden states, as `model.language_model` gives them → (…, vocabulary) logits of the next
        token."""
        ...

    def axes(self, ids: Sequence[int], image_id: int, looked: Sequence[tuple[int, int]]) -> Tensor | None:
        """(A, P) int64 positions of P ids on A axes, where positions are not counted; `looked` are the
        heights and widths (h, w) of the pictures that stand there."""
        ...


def part(config: Config, name: str) -> dict[str, Any]:
    """An object inside of config.json. Raises CheckpointError where there is none."""
    found = config.get(name)
    if not isinstance(found, Mapping):
        raise CheckpointError(f"config.json has no {name}.", remedy="Use the config.json of the checkpoint.")
    return dict(found)


def only(config: Config, keys: Sequence[str]) -> dict[str, Any]:
    """Those of the keys that are there."""
    return {key: config[key] for key in keys if key in config}
