"""A checkpoint's tokenizer, in whichever of the published ways it was saved.

    tokenizer.json              as the tokenizers library saves it
    vocab.json, merges.txt      Qwen2's, as its authors publish it
    tokenizer.model             InternLM2's: SentencePiece, whose file protobuf reads

The tokens that training added ([SEG], <p>, …) are in `tokenizer_config.json` for the last two.
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
"Made by protobuf as it is imported: no type checker sees what is in it."


def open_tokenizer(directory: Path) -> Tokenizer:
    """Raises CheckpointError where there is none, or it cannot be read."""
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
    """As `InternLM2TokenizerFast` of internlm/internlm2_5-7b-chat builds it from the same file."""
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
        named = AddedToken(token["content"], special=token.get("special", True), normalized=False)
        (tokenizer.add_special_tokens if named.special else tokenizer.add_tokens)([named])
        if tokenizer.token_to_id(named.content) != number:
            raise ValueError(f"{named.content} cannot have the number {number}")
    return tokenizer


def _merges(vocabulary: dict[str, int], scores: list[float]) -> list[tuple[str, str]]:
    """What is merged first: pairs that make the likeliest piece, then those of the lower numbers."""
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
    """What a SentencePiece model knows, by number."""

    texts: list[str]
    scores: list[float]
    "Log-probabilities, or the order of merging."
    begins_with_space: bool
    "Whether every text begins with a space."


def read_sentencepiece(model: bytes) -> Pieces:
    """Parse a `ModelProto` (google/sentencepiece, `sentencepiece_model.proto`).

    Raises ValueError where it is none, or no byte-pair encoding.
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
