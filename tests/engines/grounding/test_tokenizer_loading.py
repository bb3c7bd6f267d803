"""Laws of tokenizer loading."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from engines.grounding.families.base import SpecialTokens
from engines.grounding.templates import make_template
from engines.grounding.tokenizer_loading import load_tokenizer, read_sentencepiece
from streaming.errors import CheckpointError
from tests.published import ADDED, MARKS, tiny_tokenizer

SPECIAL = ("<|im_start|>", "<|im_end|>", *MARKS["Sa2VAChatModel"], *ADDED)


def _field(number: int, value: int | bytes) -> bytes:
    """One field of a protocol buffer; lengths below 128."""
    if isinstance(value, int):
        return bytes([number << 3, value])
    assert len(value) < 128
    return bytes([number << 3 | 2, len(value)]) + value


def _sentencepiece(begins_with_space: bool, kind: int = 2) -> bytes:
    """Byte pieces, and a few words that are merged letter by letter."""
    words = ["re", "red", "▁red", "▁c", "▁cu", "▁cup", "▁", "r", "e", "d", "c", "u", "p", "s"]
    texts = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *words]
    model = b"".join(
        _field(1, _field(1, text.encode()) + bytes([2 << 3 | 5]) + struct.pack("<f", -float(number)))
        for number, text in enumerate(texts)
    )
    return model + _field(2, _field(3, kind)) + _field(3, _field(3, int(begins_with_space)))


def _save(folder: Path, *, begins_with_space: bool = False, kind: int = 2) -> Path:
    (folder / "tokenizer.model").write_bytes(_sentencepiece(begins_with_space, kind))
    contents = ["<s>", "</s>", *SPECIAL]
    numbers = [1, 2, *range(273, 273 + len(SPECIAL))]
    added = {str(n): {"content": text, "special": True} for n, text in zip(numbers, contents, strict=True)}
    (folder / "tokenizer_config.json").write_text(json.dumps({"added_tokens_decoder": added}))
    return folder


def test_a_tokenizer_json_loads_unchanged(tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer("Sa2VAChatModel")
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    assert load_tokenizer(tmp_path).to_str() == tokenizer.to_str()


def test_a_sentencepiece_model_loads_without_its_library(tmp_path: Path) -> None:
    tokenizer = load_tokenizer(_save(tmp_path))
    assert tokenizer.encode("red cups").tokens == ["red", "▁cup", "s"]
    assert tokenizer.encode("a red").tokens == ["<0x61>", "▁red"]
    assert tokenizer.decode(tokenizer.encode("red ä cups").ids) == "red ä cups"


def test_the_dummy_prefix_of_the_model_is_prepended(tmp_path: Path) -> None:
    assert load_tokenizer(_save(tmp_path, begins_with_space=True)).encode("red").tokens == ["▁red"]


def test_added_tokens_keep_their_ids(tmp_path: Path) -> None:
    tokenizer = load_tokenizer(_save(tmp_path))
    assert [tokenizer.token_to_id(token) for token in SPECIAL] == [*range(273, 273 + len(SPECIAL))]
    assert tokenizer.encode("red [SEG]").ids[-1] == tokenizer.token_to_id("[SEG]")
    template = make_template(tokenizer, 2, SpecialTokens(*MARKS["Sa2VAChatModel"], bos="<s>"))
    assert template.prefix()[0] == 1
    assert template.seg_id not in template.segment_question("red [SEG]")


def test_an_impossible_id_of_an_added_token_is_a_checkpoint_error(tmp_path: Path) -> None:
    added = {"999": {"content": "[SEG]", "special": True}}
    (_save(tmp_path) / "tokenizer_config.json").write_text(json.dumps({"added_tokens_decoder": added}))
    with pytest.raises(CheckpointError, match=r"\[SEG\] cannot have the number 999"):
        load_tokenizer(tmp_path)


def test_qwens_published_files_load(tmp_path: Path) -> None:
    letters = {letter: number for number, letter in enumerate(["r", "e", "d", "Ġ", "re", "red", "Ġred"])}
    (tmp_path / "vocab.json").write_text(json.dumps(letters))
    (tmp_path / "merges.txt").write_text("#version: 0.2\nr e\nre d\nĠ red\n")
    added = {"9": {"content": "[SEG]", "special": True, "normalized": False}}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"added_tokens_decoder": added}))
    tokenizer = load_tokenizer(tmp_path)
    assert tokenizer.encode("red red").tokens == ["red", "Ġred"]
    assert tokenizer.encode("[SEG]").tokens == ["[SEG]"]


def test_a_missing_tokenizer_is_a_checkpoint_error(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="has no tokenizer"):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize("name", ["tokenizer.json", "vocab.json", "tokenizer.model"])
def test_a_broken_tokenizer_is_a_checkpoint_error(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\xff\x00 not this")
    with pytest.raises(CheckpointError, match="Cannot read the tokenizer"):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize("size", [1, 100, 2000])
def test_a_truncated_sentencepiece_model_is_an_error(size: int) -> None:
    with pytest.raises(ValueError, match=r"tokenizer\.model"):
        read_sentencepiece(_sentencepiece(begins_with_space=False)[:size])


def test_a_sentencepiece_model_other_than_bpe_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="byte-pair"):
        load_tokenizer(_save(tmp_path, kind=1))
