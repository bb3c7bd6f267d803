"""Optimisers: Muon for matrices, torch's AdamW for other weights, and a group that steps them together.

Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon): momentum, then the nearest orthogonal
matrix by five Newton-Schulz steps, so that all directions of a weight have one step size. Weights of
convolutions are matrices (out, in·k·k). Matrices of one shape are orthogonalised in one batch.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Final

import torch
from torch import Tensor, nn

from engines.grounding.devices import computes_bfloat16

_A, _B, _C = 3.4445, -4.7750, 2.0315
"Coefficients of the quintic Newton-Schulz iteration, from the source above."
MAX_NORM: Final = 1.0
"Gradients are clipped to this norm."


class Muon(torch.optim.Optimizer):
    """Orthogonalised Nesterov momentum with decoupled weight decay, for weights of 2 or more dimensions."""

    def __init__(self, params: Iterable[Any], lr: float, momentum: float = 0.95, decay: float = 0.01) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "decay": decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Update the weights that have a gradient; `closure`, of torch's interface, must be None."""
        assert closure is None
        for group in self.param_groups:
            by_shape: dict[tuple[int, int], list[Tensor]] = defaultdict(list)
            for weight in group["params"]:
                if weight.grad is not None:
                    by_shape[weight.shape[0], weight[0].numel()].append(weight)
            for shape, weights in by_shape.items():
                updates = orthogonal(
                    torch.stack([self._nesterov(weight, group["momentum"]) for weight in weights])
                )
                scale = max(1.0, shape[0] / shape[1]) ** 0.5
                for weight, update in zip(weights, updates, strict=True):
                    weight.mul_(1 - group["lr"] * group["decay"])
                    weight.add_(update.reshape(weight.shape), alpha=-group["lr"] * scale)

    def _nesterov(self, weight: Tensor, momentum: float) -> Tensor:
        """Update the momentum of a weight; return Nesterov's direction as a matrix."""
        assert weight.grad is not None
        state = self.state[weight]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(weight)
        state["momentum"].lerp_(weight.grad, 1 - momentum)
        return weight.grad.lerp(state["momentum"], momentum).flatten(1)


class Optimisers:
    """Several optimisers that step together, with one schedule factor and one gradient norm.

    The learning rates that they are made with are the peaks of the schedule. A resumed run may have other
    peaks: its state does not contain them.
    """

    def __init__(self, optimisers: Sequence[torch.optim.Optimizer], clipped: Iterable[Tensor]) -> None:
        """`clipped`: weights whose joint gradient norm is clipped to MAX_NORM. Muon's need no clipping: its
        steps do not depend on the size of gradients."""
        self._optimisers = optimisers
        self._clipped = list(clipped)
        self._peaks = [[group["lr"] for group in optimiser.param_groups] for optimiser in optimisers]

    def step(self, lr_scale: float) -> None:
        """Update all weights at `lr_scale` (0..1) times the peak learning rates, then clear the gradients.

        The step is skipped where the norm of the gradients is not finite.
        """
        finite = bool(torch.isfinite(nn.utils.clip_grad_norm_(self._clipped, MAX_NORM)))
        for optimiser, peaks in zip(self._optimisers, self._peaks, strict=True):
            for group, peak in zip(optimiser.param_groups, peaks, strict=True):
                group["lr"] = lr_scale * peak
            if finite:
                optimiser.step()
            optimiser.zero_grad(set_to_none=True)

    def state_dict(self) -> list[dict[str, Any]]:
        """Return the state of each optimiser, in order."""
        return [optimiser.state_dict() for optimiser in self._optimisers]

    def load_state_dict(self, states: list[dict[str, Any]]) -> None:
        """Restore what `state_dict` returned. Raises ValueError for another number or shape of optimisers."""
        for optimiser, state in zip(self._optimisers, states, strict=True):
            optimiser.load_state_dict(state)


def orthogonal(matrices: Tensor) -> Tensor:
    """(N, a, b) → approximately the nearest orthogonal matrices: singular values between 0.5 and 1.4.

    Computed in bfloat16 where the device has instructions for that.
    """
    x = matrices / (matrices.norm(dim=(1, 2), keepdim=True) + 1e-7)
    if computes_bfloat16(matrices.device):
        x = x.bfloat16()
    tall = x.shape[1] > x.shape[2]
    if tall:
        x = x.transpose(1, 2)
    for _ in range(5):
        gram = x @ x.transpose(1, 2)
        x = _A * x + (_B * gram + _C * gram @ gram) @ x
    result: Tensor = (x.transpose(1, 2) if tall else x).float()
    return result


def split_parameters(model: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
    """Return the matrices of linear and convolution layers, and all other weights that require gradients."""
    matrices = [
        module.weight
        for module in model.modules()
        if isinstance(module, nn.Linear | nn.Conv2d)
        and min(module.weight.shape[0], module.weight[0].numel()) > 1
    ]
    are_matrices = {id(weight) for weight in matrices}
    others: list[Tensor] = [
        weight for weight in model.parameters() if weight.requires_grad and id(weight) not in are_matrices
    ]
    return matrices, others
