"""Laws of learning-rate schedules."""

from __future__ import annotations

import pytest

from lab.training.schedules import step_warmup_cosine, warmup_cosine, warmup_stable_decay


def test_step_warmup_cosine_rises_over_the_first_steps_and_ends_at_its_floor() -> None:
    first, middle, last = (step_warmup_cosine(0.0, step, warmup_steps=50, floor=0.02) for step in (0, 25, 49))
    assert 0 < first < middle < last == 1.0
    assert step_warmup_cosine(1.0, 1000, warmup_steps=50, floor=0.02) == pytest.approx(0.02)


def test_warmup_cosine_rises_over_a_share_of_the_budget_and_ends_at_0() -> None:
    assert 0 < warmup_cosine(0.0, warmup=0.05) < warmup_cosine(0.025, warmup=0.05)
    assert warmup_cosine(0.025, warmup=0.05) < warmup_cosine(0.05, warmup=0.05) == 1.0
    assert warmup_cosine(0.5, warmup=0.05) < 1.0
    assert warmup_cosine(1.0, warmup=0.05) == pytest.approx(0.0)


def test_warmup_stable_decay_rises_stays_and_falls() -> None:
    assert warmup_stable_decay(0.0) < warmup_stable_decay(0.01) < warmup_stable_decay(0.02)
    assert warmup_stable_decay(0.1) == warmup_stable_decay(0.5) == 1.0
    assert warmup_stable_decay(0.7) > warmup_stable_decay(0.9) > warmup_stable_decay(1.0) > 0
