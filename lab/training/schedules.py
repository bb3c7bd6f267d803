"""Learning-rate schedules: factors 0..1 on peak learning rates.

Time is the schedule: `spent` is the share 0..1 of the run's time budget, so a slower machine ends at the same
place of the schedule, after fewer steps.
"""

from __future__ import annotations

import math


def step_warmup_cosine(spent: float, step: int, *, warmup_steps: int, floor: float) -> float:
    """Warm up linearly over the first steps, times a cosine over the budget from 1 down to `floor`."""
    warmup = min(1.0, (step + 1) / warmup_steps)
    return warmup * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * spent)))


def warmup_cosine(spent: float, *, warmup: float) -> float:
    """Warm up linearly over the share `warmup` of the budget, then follow a cosine down to 0."""
    if spent < warmup:
        return max(spent / warmup, 0.01)
    return 0.5 * (1 + math.cos(math.pi * (spent - warmup) / (1 - warmup)))


def warmup_stable_decay(spent: float) -> float:
    """Warm up over the first 2 % of the budget, stay at 1 until 55 %, then decay linearly to 3 %.

    The shape is Hu et al.'s (MiniCPM, arXiv 2404.06395, §4.2): a run that is resumed with a larger budget
    goes on from the stable part.
    """
    if spent < 0.02:
        return max(spent / 0.02, 0.05)
    return 1.0 if spent < 0.55 else max(0.03, (1.0 - spent) / 0.45)
