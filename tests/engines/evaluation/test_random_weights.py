"""Published models with random weights that keep signals alive."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engines.evaluation.random_weights import bench_weights, random_tracker
from engines.tracking.families import family_name
from engines.tracking.graph_set import encoder_of
from streaming.errors import InvalidSettings, NotFound


@pytest.mark.parametrize("name", ["sam2-tiny", "edgetam"])
def test_no_tensor_is_trivial_and_features_are_alive(name: str) -> None:
    weights = random_tracker(name, 256)
    assert family_name(weights.model.config) == name
    assert all(parameter.any() for parameter in weights.model.parameters())
    rng = np.random.default_rng(0)
    picture = torch.from_numpy(rng.integers(0, 256, (1, 256, 256, 3), np.uint8))
    with torch.inference_mode():
        features, _, _ = encoder_of(weights.model).eval()(picture)
    assert 0.1 < features.std() < 30 and features.std(dim=(2, 3)).min() > 1e-3


def test_they_are_the_same_each_time() -> None:
    one, other = (random_tracker("sam2.1-tiny", 128).model.state_dict() for _ in range(2))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_other_names_are_checkpoints() -> None:
    assert bench_weights("nano").side_px == 256
    assert bench_weights("sam2.1-tiny", 128).side_px == 128
    with pytest.raises(NotFound):
        bench_weights("sam3-tiny")
    with pytest.raises(InvalidSettings):
        random_tracker("sam2.1-tiny", 100)
