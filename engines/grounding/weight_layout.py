"""Mapping between the tensors of a model (native) and those of a published checkpoint.

A native tensor is a published tensor under another name, or a part of a published tensor that fuses several.
SAM-2 has one opposite case: its four published point embeddings are one native tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import torch
from torch import Tensor

from engines.tracking.weight_names import official_name, to_official
from streaming.errors import CheckpointError

NAMED: Final = 10
"Tensors of a kind that an error names at most."
SAM: Final = "grounding_encoder.sam2_model."
SEGMENTER: Final = "segmenter."
_POINTS: Final = "prompt_encoder.point_embed.weight"
_PUBLISHED_POINTS: Final = tuple(
    f"{SAM}sam_prompt_encoder.point_embeddings.{index}.weight" for index in range(4)
)


class Fusion(Protocol):
    """How native tensors are fused into one published tensor."""

    def join(self, parts: Sequence[Tensor]) -> Tensor:
        """Fuse native tensors into the published tensor."""

    def part(self, whole: Tensor, index: int) -> Tensor:
        """Return native tensor `index` out of the published tensor."""


class Unfused:
    """A published tensor that is one native tensor."""

    def join(self, parts: Sequence[Tensor]) -> Tensor:
        """Return the only part."""
        (only,) = parts
        return only

    def part(self, whole: Tensor, index: int) -> Tensor:
        """Return the whole tensor."""
        assert index == 0
        return whole


@dataclass(frozen=True)
class Stacked:
    """Parts of the same size concatenated along dimension 0: q, k and v of a vision encoder."""

    count: int

    def join(self, parts: Sequence[Tensor]) -> Tensor:
        """Concatenate the parts."""
        assert len(parts) == self.count
        return torch.cat(list(parts))

    def part(self, whole: Tensor, index: int) -> Tensor:
        """Return a view of one part."""
        return whole.chunk(self.count)[index]


UNFUSED: Final = Unfused()


@dataclass(frozen=True)
class PublishedTensor:
    """Where a native tensor is in a published checkpoint."""

    name: str
    index: int = 0
    "Index of the part within the published tensor."
    fusion: Fusion = UNFUSED


Locate = Callable[[str], PublishedTensor]
"Maps the name of a native tensor, other than SAM-2's, to its published tensor."


def published(state: Mapping[str, Tensor], locate: Locate) -> dict[str, Tensor]:
    """Convert a model's `state_dict` to published tensors."""
    sam_tensors = {
        SAM + name: tensor
        for name, tensor in to_official(
            {k.removeprefix(SEGMENTER): v for k, v in state.items() if k.startswith(SEGMENTER)}
        ).items()
    }
    parts: dict[str, dict[int, Tensor]] = {}
    fusions: dict[str, Fusion] = {}
    for name, tensor in state.items():
        if not name.startswith(SEGMENTER):
            target = locate(name)
            parts.setdefault(target.name, {})[target.index] = tensor
            fusions[target.name] = target.fusion
    joined = {
        name: fusions[name].join([by_index[index] for index in sorted(by_index)])
        for name, by_index in parts.items()
    }
    return sam_tensors | joined


def native(name: str, tensors: Mapping[str, Tensor], locate: Locate) -> Tensor:
    """Return a native tensor out of published tensors, as a view where possible."""
    if name == SEGMENTER + _POINTS:
        return torch.cat([tensors[point] for point in _PUBLISHED_POINTS])
    if name.startswith(SEGMENTER):
        return tensors[SAM + official_name(name.removeprefix(SEGMENTER))]
    source = locate(name)
    return source.fusion.part(tensors[source.name], source.index)


def check_tensors(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> None:
    """Raise CheckpointError naming the first ten missing, surplus and misshapen tensors, if any."""
    faults = {
        "missing": sorted(expected.keys() - found.keys()),
        "surplus": sorted(found.keys() - expected.keys()),
        "misshapen": [
            f"{name} {tuple(found[name].shape)} for {tuple(expected[name].shape)}"
            for name in sorted(expected.keys() & found.keys())
            if found[name].shape != expected[name].shape
        ],
    }
    summary = [
        f"{fault} {len(names)}: {', '.join(names[:NAMED])}" for fault, names in faults.items() if names
    ]
    if summary:
        raise CheckpointError(
            f"The tensors do not fit config.json; {'; '.join(summary)}.",
            remedy="Check that config.json and the weights belong together.",
        )
