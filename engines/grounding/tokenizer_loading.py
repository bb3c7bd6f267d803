"""Loading of a checkpoint's tokenizer, from each of the published file formats.

    tokenizer.json              format of the tokenizers library
    vocab.json, merges.txt      Qwen2's published format
    tokenizer.model             InternLM2: SentencePiece, parsed with protobuf

For the last two, the tokens added in training ([SEG], <p>, …) are in `tokenizer_config.json`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from google.protobuf.message import DecodeError
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers
from transformers import Qwen2Tokenizer
from transformers.utils import sentencepiece_model_pb2_new

from streaming.errors import CheckpointError

_SPACE: Final = "▁"
_schema: Any = sentencepiece_model_pb2_new
"Classes that protobuf makes at import time; type checkers cannot see them."


def load_tokenizer(directory: Path) -> Tokenizer:
    """Load the tokenizer of a checkpoint. Raises CheckpointError if there is none or it cannot be read."""
    try:
        if (directory / "tokenizer.json").is_file():
            return Tokenizer.from_file(str(directory / "tokenizer.json"))
        if (directory / "vocab.json").is_file():
            tokenizer: Tokenizer = Qwen2Tokenizer.from_pretrained(directory).backend_tokenizer
            return tokenizer
        if (directory / "tokenizer.model").is_file():
            return _internlm2(directory)
    except Exception as exc:  # tokenizers raises bare Exception for a broken file
        raise CheckpointError(f"Cannot read the tokenizer of {directory}: {exc}.") from exc
    raise CheckpointError(
        f"{directory} has no tokenizer.", remedy="Copy tokenizer.json, vocab.json or tokenizer.model to it."
    )


def _internlm2(directory: Path) -> Tokenizer:
    """Build the tokenizer as `InternLM2TokenizerFast` (internlm/internlm2_5-7b-chat) does."""
    pieces = read_sentencepiece((directory / "tokenizer.model").read_bytes())
    config = json.loads((directory / "tokenizer_config.json").read_text())
    added = {int(number): token for number, token in config.get("added_tokens_decoder", {}).items()}
    texts = [
        added[number]["content"] if number in added else text for number, text in enumerate(pieces.texts)
    ]
    vocabulary = {text: number for number, text in enumerate(texts)}
    merges = _merges(vocabulary, pieces.scores)
    tokenizer = Tokenizer(
        models.BPE(vocabulary, merges, unk_token=texts[0], fuse_unk=True, byte_fallback=True)
    )
    prefix = [normalizers.Prepend(_SPACE)] if pieces.begins_with_space else []
    tokenizer.normalizer = normalizers.Sequence([*prefix, normalizers.Replace(" ", _SPACE)])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace(_SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    for number, token in sorted(added.items()):
        added_token = AddedToken(token["content"], special=token.get("special", True), normalized=False)
        (tokenizer.add_special_tokens if added_token.special else tokenizer.add_tokens)([added_token])
        if tokenizer.token_to_id(added_token.content) != number:
            raise ValueError(f"{added_token.content} cannot have the number {number}")
    return tokenizer


def _merges(vocabulary: dict[str, int], scores: list[float]) -> list[tuple[str, str]]:
    """Order merges by the score of the merged piece, then by the ids of the pair."""
    ranked = [
        (-scores[number], vocabulary[text[:cut]], vocabulary[text[cut:]], text[:cut], text[cut:])
        for text, number in vocabulary.items()
        if number < len(scores)
        for cut in range(1, len(text))
        if text[:cut] in vocabulary and text[cut:] in vocabulary
    ]
    return [(left, right) for *_, left, right in sorted(ranked)]


@dataclass(frozen=True, slots=True)
class Pieces:
    """The pieces of a SentencePiece model, by id."""

    texts: list[str]
    scores: list[float]
    "Log-probabilities, or negative merge ranks."
    begins_with_space: bool
    "Whether the normalizer prepends a space to every text."


def read_sentencepiece(model: bytes) -> Pieces:
    """Parse a `ModelProto` (google/sentencepiece, `sentencepiece_model.proto`).

    Raises ValueError if it is not one, or not a byte-pair encoding.
    """
    proto = _schema.ModelProto()
    try:
        proto.ParseFromString(model)
    except DecodeError as exc:
        raise ValueError(f"tokenizer.model is cut short or of another format ({exc})") from exc
    if not proto.pieces or proto.trainer_spec.model_type != proto.trainer_spec.BPE:
        raise ValueError("tokenizer.model is no byte-pair encoding of SentencePiece's")
    return Pieces(
        texts=[piece.piece for piece in proto.pieces],
        scores=[piece.score for piece in proto.pieces],
        begins_with_space=proto.normalizer_spec.add_dummy_prefix,
    )
