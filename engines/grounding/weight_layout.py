"""Where tensors of a model are in a published checkpoint, and back.

A tensor of ours is a published one under another name, or one part of a published one that fuses several.
SAM-2 alone has it the other way round: its four point embeddings are one tensor here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import torch
from torch import Tensor

from engines.tracking.checkpoints import official_name, to_official
from streaming.errors import CheckpointError

NAMED: Final = 10
"An error names this many tensors of a kind."
SAM: Final = "grounding_encoder.sam2_model."
SEGMENTER: Final = "segmenter."
_POINTS: Final = "prompt_encoder.point_embed.weight"
_PUBLISHED_POINTS: Final = tuple(
    f"{SAM}sam_prompt_encoder.point_embeddings.{index}.weight" for index in range(4)
)


class Fusion(Protocol):
    """How tensors of ours make one published tensor."""

    def join(self, parts: Sequence[Tensor]) -> Tensor:
        """Ours → published."""
        ...

    def part(self, whole: Tensor, index: int) -> Tensor:
        """Published → one of ours."""
        ...


class Alone:
    """A published tensor that is one of ours."""

    def join(self, parts: Sequence[Tensor]) -> Tensor:
        """The only one."""
        (only,) = parts
        return only

    def part(self, whole: Tensor, index: int) -> Tensor:
        """All of it."""
        assert index == 0
        return whole


@dataclass(frozen=True)
class Stacked:
    """Parts of one size, one below the other: q, k and v of a vision tower."""

    count: int

    def join(self, parts: Sequence[Tensor]) -> Tensor:
        """Stack the parts."""
        assert len(parts) == self.count
        return torch.cat(list(parts))

    def part(self, whole: Tensor, index: int) -> Tensor:
        """A view of one part."""
        return whole.chunk(self.count)[index]


ALONE: Final = Alone()


@dataclass(frozen=True)
class Place:
    """Where one of our tensors is in a published checkpoint."""

    name: str
    index: int = 0
    "Which part of the published tensor it is."
    fusion: Fusion = ALONE


Finding = Callable[[str], Place]
"Name of ours → its place. Not asked about SAM-2's."


def published(state: Mapping[str, Tensor], find: Finding) -> dict[str, Tensor]:
    """A model's `state_dict` under published names."""
    named = {
        SAM + name: tensor
        for name, tensor in to_official(
            {k.removeprefix(SEGMENTER): v for k, v in state.items() if k.startswith(SEGMENTER)}
        ).items()
    }
    parts: dict[str, dict[int, Tensor]] = {}
    fusions: dict[str, Fusion] = {}
    for name, tensor in state.items():
        if not name.startswith(SEGMENTER):
            place = find(name)
            parts.setdefault(place.name, {})[place.index] = tensor
            fusions[place.name] = place.fusion
    joined = {
        name: fusions[name].join([some[index] for index in sorted(some)]) for name, some in parts.items()
    }
    return named | joined


def native(name: str, tensors: Mapping[str, Tensor], find: Finding) -> Tensor:
    """One of our tensors out of published ones; a view where that is possible."""
    if name == SEGMENTER + _POINTS:
        return torch.cat([tensors[point] for point in _PUBLISHED_POINTS])
    if name.startswith(SEGMENTER):
        return tensors[SAM + official_name(name.removeprefix(SEGMENTER))]
    place = find(name)
    return place.fusion.part(tensors[place.name], place.index)


def check(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> None:
    """Raise CheckpointError, naming the first ten tensors each that are missing, surplus or misshapen."""
    faults = {
        "missing": sorted(wanted.keys() - given.keys()),
        "surplus": sorted(given.keys() - wanted.keys()),
        "misshapen": [
            f"{name} {tuple(given[name].shape)} for {tuple(wanted[name].shape)}"
            for name in sorted(wanted.keys() & given.keys())
            if given[name].shape != wanted[name].shape
        ],
    }
    told = [f"{fault} {len(names)}: {', '.join(names[:NAMED])}" for fault, names in faults.items() if names]
    if told:
        raise CheckpointError(
            f"The tensors do not fit config.json; {'; '.join(told)}.",
            remedy="Check that config.json and the weights belong together.",
        )
