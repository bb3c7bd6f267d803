"""Laws of loading published tensors into a model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from engines.grounding.checkpoints import build
from engines.grounding.model import SaModel
from engines.grounding.weights import INDEX_FILE, WEIGHTS_FILE, load_published, on_meta_device, open_weights
from streaming.errors import CheckpointError
from tests import published

CPU = torch.device("cpu")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    published.write("internvl-internlm2", tmp_path)
    return tmp_path


def _on_meta_device(folder: Path) -> SaModel:
    with on_meta_device():
        return build(json.loads((folder / "config.json").read_text()), 5)


def _read(folder: Path) -> dict[str, torch.Tensor]:
    return published.without_memory(open_weights(folder))


def _mapped(path: Path) -> list[range]:
    """Where a file is mapped into this process."""
    lines = [line.split() for line in Path("/proc/self/maps").read_text().splitlines()]
    ends = [line[0].split("-") for line in lines if line[-1] == str(path)]
    return [range(int(start, 16), int(end, 16)) for start, end in ends]


def test_weights_in_the_files_dtype_are_mapped_from_the_file(folder: Path) -> None:
    model = _on_meta_device(folder)
    load_published(model, _read(folder), torch.float32, CPU)
    pages = _mapped(folder / WEIGHTS_FILE)
    elsewhere = [
        name for name, weight in model.named_parameters() if not any(weight.data_ptr() in p for p in pages)
    ]
    # Copied: q, k and v that were fused by group, and SAM-2's point embeddings.
    assert all("self_attn" in name or "point_embed" in name for name in elsewhere)
    assert len(elsewhere) <= 3 * published.LAYERS + 1


def test_training_does_not_write_to_the_file(folder: Path) -> None:
    model = _on_meta_device(folder)
    load_published(model, _read(folder), torch.float32, CPU)
    before = (folder / WEIGHTS_FILE).read_bytes()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(1.0)
    assert (folder / WEIGHTS_FILE).read_bytes() == before


def test_on_meta_device_parameters_are_meta_and_frequencies_are_real(folder: Path) -> None:
    model = _on_meta_device(folder)
    assert all(weight.is_meta for weight in model.parameters())
    frequencies = model.mllm.model.language_model.rotary_emb.inv_freq
    assert not frequencies.is_meta and float(frequencies[0]) == 1.0


def test_load_published_leaves_no_meta_tensor(folder: Path) -> None:
    model = _on_meta_device(folder)
    load_published(model, _read(folder), torch.float32, CPU)
    assert not [n for n, t in [*model.named_parameters(), *model.named_buffers()] if t.is_meta]


def test_on_meta_device_respects_a_named_device() -> None:
    with on_meta_device():
        assert nn.Linear(2, 2).weight.is_meta
        assert not torch.zeros(2, device="cpu").is_meta


def test_layers_between_hidden_state_and_mask_stay_float32(folder: Path) -> None:
    model = _on_meta_device(folder)
    load_published(model, _read(folder), torch.bfloat16, CPU)
    kinds = {name: weight.dtype for name, weight in model.named_parameters()}
    half = {name for name, dtype in kinds.items() if dtype == torch.bfloat16}
    assert half == {n for n in kinds if n.startswith(("mllm.", "segmenter.vision_encoder."))}
    assert {kinds[name] for name in kinds.keys() - half} == {torch.float32}


@pytest.mark.parametrize("written", [("head", "embedding"), ("embedding",), ("head",)])
def test_a_tied_matrix_may_be_stored_once_or_twice(folder: Path, written: tuple[str, ...]) -> None:
    config = json.loads((folder / "config.json").read_text()) | {"tie_word_embeddings": True}
    names = {
        "head": "language_model.output.weight",
        "embedding": "language_model.model.tok_embeddings.weight",
    }
    tensors = _read(folder)
    matrix = tensors.pop(names["head"])
    del tensors[names["embedding"]]
    with on_meta_device():
        model = build(config, 5)
    load_published(model, tensors | {names[one]: matrix.clone() for one in written}, torch.float32, CPU)
    assert model.mllm.lm_head.weight is model.mllm.model.language_model.embed_tokens.weight
    assert torch.equal(model.mllm.lm_head.weight, matrix)


def test_different_head_and_embedding_are_not_tied(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text()) | {"tie_word_embeddings": True}
    with on_meta_device():
        model = build(config, 5)
    tensors = _read(folder)
    load_published(model, tensors, torch.float32, CPU)
    embedding = model.mllm.model.language_model.embed_tokens.weight
    assert torch.equal(model.mllm.lm_head.weight, tensors["language_model.output.weight"])
    assert torch.equal(embedding, tensors["language_model.model.tok_embeddings.weight"])


def test_a_missing_weight_is_a_checkpoint_error(folder: Path) -> None:
    tensors = _read(folder)
    del tensors["mlp1.0.weight"]
    with pytest.raises(CheckpointError, match=r"missing 1: mlp1\.0\.weight"):
        load_published(_on_meta_device(folder), tensors, torch.float32, CPU)


def test_sharded_files_load_like_a_single_file(folder: Path) -> None:
    tensors = load_file(folder / WEIGHTS_FILE)
    names = sorted(tensors)
    weight_map = {}
    for start, shard in enumerate(("a.safetensors", "b.safetensors")):
        save_file({name: tensors[name] for name in names[start::2]}, folder / shard)
        weight_map |= dict.fromkeys(names[start::2], shard)
    (folder / INDEX_FILE).write_text(json.dumps({"weight_map": weight_map}))
    (folder / WEIGHTS_FILE).unlink()
    opened = open_weights(folder)
    assert opened.keys() == tensors.keys()
    assert all(torch.equal(opened[name], tensor) for name, tensor in tensors.items())


def test_a_truncated_file_is_an_error_on_opening(folder: Path) -> None:
    path = folder / WEIGHTS_FILE
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(SafetensorError):
        open_weights(folder)


def test_a_missing_shard_is_an_error(folder: Path) -> None:
    (folder / INDEX_FILE).write_text(json.dumps({"weight_map": {"a": "gone.safetensors"}}))
    with pytest.raises(OSError, match="gone"):
        open_weights(folder)


@pytest.mark.parametrize(
    "index", ["[]", "{}", '{"weight_map": 3}', '{"weight_map": {"a": "../b.safetensors"}}', "x"]
)
def test_a_malformed_index_is_an_error(folder: Path, index: str) -> None:
    (folder / INDEX_FILE).write_text(index)
    with pytest.raises(ValueError):
        open_weights(folder)
