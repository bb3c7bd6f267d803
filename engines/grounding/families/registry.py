"""Choice of the family by `architectures[0]` of config.json."""

from __future__ import annotations

from typing import Final

from engines.grounding.families.base import Config, Family
from engines.grounding.families.internvl import InternVl
from engines.grounding.families.qwen import Qwen
from streaming.errors import CheckpointError

FAMILIES: Final[dict[str, type[InternVl] | type[Qwen]]] = {
    "Sa2VAChatModel": InternVl,
    "Sa2VAChatModelQwen": Qwen,
}


def choose_family(config: Config, image_id: int) -> Family:
    """Return the family of a published configuration; `image_id` is the placeholder id of an image token.

    Raises CheckpointError if the architecture is not supported.
    """
    architecture = next(iter(config.get("architectures") or ()), "none")
    if architecture not in FAMILIES:
        raise CheckpointError(
            f"A checkpoint of {architecture} is not read here.", remedy=f"Known: {', '.join(FAMILIES)}."
        )
    return FAMILIES[architecture](config, image_id)
