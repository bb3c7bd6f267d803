"""Muon for the matrices, AdamW for the rest.

Muon (Jordan et al., 2024): momentum, then the nearest orthogonal matrix by five Newton-Schulz steps,
so that every direction of a weight learns at one rate. Convolutions are matrices of (out, in·k·k).
Matrices of one shape are orthogonalised in one batch. `Optimisers` steps both together.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Final

import torch
from torch import Tensor, nn

_A, _B, _C = 3.4445, -4.7750, 2.0315
"""Coefficients of the quintic iteration, from the paper."""
MAX_NORM: Final = 1.0
"Longer gradients are shortened to this."


class Muon(torch.optim.Optimizer):
    """Momentum, orthogonalised; parameters of two or more dimensions only."""

    def __init__(self, params: Iterable[Any], lr: float, momentum: float = 0.95, decay: float = 0.01) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "decay": decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One update; `closure` is part of torch's interface and must be None."""
        assert closure is None
        for group in self.param_groups:
            by_shape: dict[tuple[int, int], list[Tensor]] = defaultdict(list)
            for weight in group["params"]:
                if weight.grad is not None:
                    by_shape[weight.shape[0], weight[0].numel()].append(weight)
            for shape, weights in by_shape.items():
                updates = orthogonal(
                    torch.stack([self._push(weight, group["momentum"]) for weight in weights])
                )
                size = max(1.0, shape[0] / shape[1]) ** 0.5
                for weight, update in zip(weights, updates, strict=True):
                    weight.mul_(1 - group["lr"] * group["decay"])
                    weight.add_(update.reshape(weight.shape), alpha=-group["lr"] * size)

    def _push(self, weight: Tensor, momentum: float) -> Tensor:
        """Nesterov momentum of a weight's gradient, as a matrix."""
        assert weight.grad is not None
        state = self.state[weight]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(weight)
        state["momentum"].lerp_(weight.grad, 1 - momentum)
        return weight.grad.lerp(state["momentum"], momentum).flatten(1)


class Optimisers:
    """Optimisers that step together; the rates they come with are the peaks of the rates they use.

    A run that is resumed may be told other peaks: they are no part of the state.
    """

    def __init__(self, optimisers: Sequence[torch.optim.Optimizer], clipped: Iterable[Tensor]) -> None:
        """`clipped`: the weights whose gradient, all in one, is kept short; Muon's need it not."""
        self._optimisers = optimisers
        self._clipped = list(clipped)
        self._peaks = [[group["lr"] for group in optimiser.param_groups] for optimiser in optimisers]

    def step(self, share: float) -> None:
        """Learn from the gradients at a share 0..1 of the peak rates, and forget them.

        Nothing is learnt from a gradient that is not finite.
        """
        finite = bool(torch.isfinite(nn.utils.clip_grad_norm_(self._clipped, MAX_NORM)))
        for optimiser, peaks in zip(self._optimisers, self._peaks, strict=True):
            for group, peak in zip(optimiser.param_groups, peaks, strict=True):
                group["lr"] = share * peak
            if finite:
                optimiser.step()
            optimiser.zero_grad(set_to_none=True)

    def state_dict(self) -> list[dict[str, Any]]:
        """The states of each, in order."""
        return [optimiser.state_dict() for optimiser in self._optimisers]

    def load_state_dict(self, states: list[dict[str, Any]]) -> None:
        """Be as `state_dict` said. Raises ValueError where it was of other optimisers."""
        for optimiser, state in zip(self._optimisers, states, strict=True):
            optimiser.load_state_dict(state)


def orthogonal(matrices: Tensor) -> Tensor:
    """(N, a, b) -> about the nearest matrices with singular values near 1."""
    x = (matrices / (matrices.norm(dim=(1, 2), keepdim=True) + 1e-7)).bfloat16()
    tall = x.shape[1] > x.shape[2]
    if tall:
        x = x.transpose(1, 2)
    for _ in range(5):
        gram = x @ x.transpose(1, 2)
        x = _A * x + (_B * gram + _C * gram @ gram) @ x
    result: Tensor = (x.transpose(1, 2) if tall else x).float()
    return result


def warmed_cosine(share: float, step: int, *, warm_steps: int, floor: float) -> float:
    """Share of a peak rate: so many steps up, then a cosine over the budget's share 0..1 down to `floor`."""
    warmth = min(1.0, (step + 1) / warm_steps)
    return warmth * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * share)))


def split_parameters(model: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
    """Weights of linear and convolution layers, and everything else that learns."""
    matrices = [
        module.weight
        for module in model.modules()
        if isinstance(module, nn.Linear | nn.Conv2d)
        and min(module.weight.shape[0], module.weight[0].numel()) > 1
    ]
    known = {id(weight) for weight in matrices}
    others: list[Tensor] = [
        weight for weight in model.parameters() if weight.requires_grad and id(weight) not in known
    ]
    return matrices, others
