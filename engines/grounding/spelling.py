"""A checkpoint's tokenizer, in whichever of the published ways it was saved.

    tokenizer.json              as the tokenizers library saves it
    vocab.json, merges.txt      Qwen2's, as its authors publish it
    tokenizer.model             InternLM2's: SentencePiece, whose file is read here without its library

The tokens that training added ([SEG], <p>, …) are in `tokenizer_config.json` for the last two.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers
from transformers import Qwen2Tokenizer

from streaming.errors import CheckpointError

_SPACE: Final = "▁"
_BPE: Final = 2
"TrainerSpec.ModelType of byte-pair encoding."


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
    texts: list[str] = []
    scores: list[float] = []
    kind, begins_with_space = 0, True
    for field, value in _fields(model):
        if field == 1 and isinstance(value, bytes):
            piece = dict(_fields(value))
            texts.append(bytes(piece[1]).decode())
            scores.append(struct.unpack("<f", piece.get(2, bytes(4)))[0])  # type: ignore[arg-type]
        elif field == 2 and isinstance(value, bytes):
            kind = int(dict(_fields(value)).get(3, 1))
        elif field == 3 and isinstance(value, bytes):
            begins_with_space = bool(dict(_fields(value)).get(3, 1))
    if not texts or kind != _BPE:
        raise ValueError("tokenizer.model is no byte-pair encoding of SentencePiece's")
    return Pieces(texts, scores, begins_with_space)


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Number and value of every field of a protocol buffer; fixed-width ones as bytes."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        field, wire = key >> 3, key & 7
        if wire == 0:
            number, at = _varint(message, at)
            yield field, number
            continue
        if wire == 2:
            size, at = _varint(message, at)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise ValueError(f"tokenizer.model has a field of wire type {wire}")
        if at + size > len(message):
            raise ValueError("tokenizer.model is cut short")
        yield field, message[at : at + size]
        at += size


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """A number of seven bits a byte, the lowest first, and where it ends."""
    number = shift = 0
    while at < len(message):
        number |= (message[at] & 127) << shift
        shift, at = shift + 7, at + 1
        if message[at - 1] < 128:
            return number, at
    raise ValueError("tokenizer.model is cut short")
