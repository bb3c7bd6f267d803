"""Published tensors into a model, without a second copy of them in memory.

The files are mapped, not read; the model is made hollow and each tensor put in its place. Where the model
wants the dtype that the file has, a weight is the file's own page, which is read when it is computed with.
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
from engines.grounding.weight_layout import check, native, published

WEIGHTS_FILE: Final = "model.safetensors"
INDEX_FILE: Final = "model.safetensors.index.json"
_HEAD: Final = "mllm.lm_head.weight"
_EMBEDDING: Final = "mllm.model.language_model.embed_tokens.weight"
_LARGE: Final = ("mllm.", "segmenter.vision_encoder.")
"""What takes a checkpoint's memory and time. The rest, the few layers between a hidden state and a mask, is
float32 always: there a rounded logit is a wrong pixel, and they cost nothing."""


def open_weights(directory: Path) -> dict[str, Tensor]:
    """Every tensor of a folder's safetensors, mapped.

    Raises OSError where a file is not there, SafetensorError where it is broken or cut short, ValueError
    where the index is not what an index is.
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
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping


class hollow(TorchFunctionMode):  # noqa: N801 - read as a word: with hollow():
    """Inside, parameters get a shape and no memory; what is counted (positions, frequencies) is real."""

    _FILLED: Final = frozenset({torch.empty, torch.zeros, torch.ones, torch.rand, torch.randn})

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """On no device where none is named."""
        kwargs = dict(kwargs or {})
        if func in self._FILLED and kwargs.get("device") is None:
            kwargs["device"] = "meta"
        return func(*args, **kwargs)


def put(model: SaModel, tensors: Mapping[str, Tensor], dtype: torch.dtype, device: torch.device) -> None:
    """Put published tensors in their places in a hollow model; every one must be there and fit.

    Raises CheckpointError naming the first ten that are missing, surplus or misshapen.
    """
    state = model.state_dict()
    tied = model.mllm.config.tie_word_embeddings
    if tied:
        tensors = _twice(tensors, model.place(_HEAD).name, model.place(_EMBEDDING).name)
    check(published(state, model.place), tensors)
    placed = {
        name: native(name, tensors, model.place).to(
            device, dtype if name.startswith(_LARGE) else torch.float32
        )
        for name in state
    }
    model.load_state_dict(placed, assign=True)
    if tied and torch.equal(placed[_HEAD], placed[_EMBEDDING]):
        model.mllm.tie_weights()
    model.to(device)
    assert not [name for name, tensor in _all(model) if tensor.is_meta]


def _twice(tensors: Mapping[str, Tensor], head: str, embedding: str) -> Mapping[str, Tensor]:
    """One matrix may be written once, or twice; then each time as it is, even if it is no longer the same."""
    either = tensors.get(embedding, tensors.get(head))
    return tensors if either is None else {head: either, embedding: either, **tensors}


def _all(model: nn.Module) -> list[tuple[str, Tensor]]:
    return [*model.named_parameters(), *model.named_buffers()]
