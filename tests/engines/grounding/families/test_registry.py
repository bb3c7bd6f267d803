"""Laws of choosing a family."""

from __future__ import annotations

import pytest

from engines.grounding.families.internvl import InternVl
from engines.grounding.families.qwen import Qwen
from engines.grounding.families.registry import choose_family
from streaming.errors import CheckpointError


@pytest.mark.parametrize(
    ("architecture", "family"), [("Sa2VAChatModel", InternVl), ("Sa2VAChatModelQwen", Qwen)]
)
def test_the_family_follows_the_first_architecture(architecture: str, family: type) -> None:
    assert isinstance(choose_family({"architectures": [architecture]}, 5), family)


@pytest.mark.parametrize("config", [{}, {"architectures": []}, {"architectures": ["LlavaModel"]}])
def test_an_unsupported_architecture_is_named_with_the_supported_ones(config: dict[str, list[str]]) -> None:
    with pytest.raises(CheckpointError, match="Sa2VAChatModelQwen"):
        choose_family(config, 5)
