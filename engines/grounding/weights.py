"""Loading of published tensors into a model, without a second copy in memory.

The files are memory-mapped, the model is made on the meta device, and each tensor is assigned. Where model
and file have the same dtype, a weight is the mapped file itself, paged in when it is first used.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import safe_open
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from engines.grounding.model import SaModel
from engines.grounding.weight_layout import check_tensors, native, published

WEIGHTS_FILE: Final = "model.safetensors"
INDEX_FILE: Final = "model.safetensors.index.json"
_HEAD: Final = "mllm.lm_head.weight"
_EMBEDDING: Final = "mllm.model.language_model.embed_tokens.weight"
_LARGE: Final = ("mllm.", "segmenter.vision_encoder.")
"""The parts that take a checkpoint's memory and time, in the chosen dtype. The other layers, between hidden
state and mask, are always float32: rounding there changes pixels of a mask, and their cost is negligible."""


def open_weights(directory: Path) -> dict[str, Tensor]:
    """Memory-map all tensors of a folder's safetensors files.

    Raises OSError if a file is missing, SafetensorError if it is broken or truncated, ValueError if the index
    is malformed.
    """
    return {
        name: tensor for shard in _shards(directory) for name, tensor in _mapped(directory / shard).items()
    }


def _shards(directory: Path) -> list[str]:
    index = directory / INDEX_FILE
    if not index.is_file():
        return [WEIGHTS_FILE]
    try:
        shards = sorted(set(json.loads(index.read_text())["weight_map"].values()))
    except (KeyError, AttributeError, TypeError) as exc:
        raise ValueError(f"{INDEX_FILE} has no weight_map") from exc
    if any(Path(shard).name != shard for shard in shards):
        raise ValueError(f"{INDEX_FILE} points out of its folder")
    return shards


def _mapped(path: Path) -> dict[str, Tensor]:
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping


class on_meta_device(TorchFunctionMode):  # noqa: N801 - read as a word: with on_meta_device():
    """Context in which parameters are made on the meta device; computed buffers are real."""

    _FILLED: Final = frozenset({torch.empty, torch.zeros, torch.ones, torch.rand, torch.randn})

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Default the device of tensor factories to meta."""
        kwargs = dict(kwargs or {})
        if func in self._FILLED and kwargs.get("device") is None:
            kwargs["device"] = "meta"
        return func(*args, **kwargs)


def load_published(
    model: SaModel, tensors: Mapping[str, Tensor], dtype: torch.dtype, device: torch.device
) -> None:
    """Assign published tensors to a model made on the meta device.

    Raises CheckpointError naming the first ten tensors that are missing, surplus or misshapen.
    """
    state = model.state_dict()
    tied = model.mllm.config.tie_word_embeddings
    if tied:
        tensors = _both_tied(
            tensors, model.published_tensor(_HEAD).name, model.published_tensor(_EMBEDDING).name
        )
    check_tensors(published(state, model.published_tensor), tensors)
    native_state = {
        name: native(name, tensors, model.published_tensor).to(
            device, dtype if name.startswith(_LARGE) else torch.float32
        )
        for name in state
    }
    model.load_state_dict(native_state, assign=True)
    if tied and torch.equal(native_state[_HEAD], native_state[_EMBEDDING]):
        model.mllm.tie_weights()
    model.to(device)
    assert not [name for name, tensor in _all_tensors(model) if tensor.is_meta]


def _both_tied(tensors: Mapping[str, Tensor], head: str, embedding: str) -> Mapping[str, Tensor]:
    """Add the missing one of head and embedding, if any; both are kept if they differ."""
    either = tensors.get(embedding, tensors.get(head))
    return tensors if either is None else {head: either, embedding: either, **tensors}


def _all_tensors(model: nn.Module) -> list[tuple[str, Tensor]]:
    return [*model.named_parameters(), *model.named_buffers()]
