"""The protocol of a family of multimodal language models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from torch import Tensor

from engines.grounding.weight_layout import PublishedTensor
from streaming.errors import CheckpointError
from streaming.vocabulary import Pixels

Config = Mapping[str, Any]
"The content of config.json, or an object inside it."

_TEXT: Final = (
    "hidden_size intermediate_size num_hidden_layers num_attention_heads num_key_value_heads head_dim "
    "hidden_act vocab_size max_position_embeddings initializer_range rms_norm_eps rope_theta rope_scaling "
    "rope_parameters attention_bias"
)
TEXT_KEYS: Final = tuple(_TEXT.split())
"""The keys that determine a language model. The other keys of published configurations change no result, and
some ask for optional packages (flash attention)."""


@dataclass(frozen=True, slots=True, eq=False)
class ImageFeatures:
    """Features of B images or tiles for the language model; shared by all questions about them."""

    patches: Tensor
    "(B, P, C) patch features of the vision encoder, row by row, without the class token."
    tokens: Tensor
    "(B, T, D) image tokens of the language model, row by row."
    deepstack: tuple[Tensor, ...] = ()
    "Each (B, T, D): added to the image tokens after each of the language model's first layers (Qwen3-VL)."


@dataclass(frozen=True, slots=True)
class SpecialTokens:
    """The special tokens of a family's chat template."""

    image_start: str
    image: str
    "Placeholder of one image token."
    image_end: str
    bos: str = ""
    "Beginning of the text; empty if the tokenizer adds none."


class Family(Protocol):
    """How to build, load and run a multimodal language model. Stateless.

    `mllm` is the module returned by `make`: transformers' own, with `lm_head` and `model.language_model`.
    """

    @property
    def special_tokens(self) -> SpecialTokens:
        """Special tokens of the chat template."""

    def make(self) -> Any:
        """Build the untrained module."""

    def published_tensor(self, name: str) -> PublishedTensor:
        """Return where a tensor of the module is in a published checkpoint."""

    def preprocess(self, pixels: Pixels, max_tiles: int) -> Tensor:
        """(H, W, 3) uint8 RGB → (B, 3, h, w) float32, normalised: B tiles of one image.

        B is 1 if the family has no tiles.
        Raises InvalidQuery if the family cannot process an image of that shape.
        """

    def token_count(self, height: int, width: int) -> int:
        """Return the number of image tokens of a preprocessed image or tile of that size."""

    def encode_images(self, mllm: Any, pixels: Tensor) -> ImageFeatures:
        """Encode preprocessed images or tiles (B, 3, h, w)."""

    def token_logits(self, mllm: Any, hidden: Tensor) -> Tensor:
        """Hidden states (…, D) of `model.language_model` → logits of the next token (…, vocabulary)."""

    def position_ids(
        self, ids: Sequence[int], image_id: int, sizes: Sequence[tuple[int, int]]
    ) -> Tensor | None:
        """Return position ids (A, P) int64 of P prefix ids on A axes; None if they are 0, 1, 2, …

        `sizes` are the heights and widths of the preprocessed images, in order.
        """


def part(config: Config, name: str) -> dict[str, Any]:
    """Return an object inside config.json. Raises CheckpointError if it is missing."""
    found = config.get(name)
    if not isinstance(found, Mapping):
        raise CheckpointError(f"config.json has no {name}.", remedy="Use the config.json of the checkpoint.")
    return dict(found)


def only(config: Config, keys: Sequence[str]) -> dict[str, Any]:
    """Select the keys that are present."""
    return {key: config[key] for key in keys if key in config}
