"""The form of a hub name, `owner/name@commit`. Imports nothing slow."""

from __future__ import annotations

import re
from typing import Final

HUB_NAME: Final = re.compile(r"(?P<repository>[\w.-]+/[\w.-]+?)(?:@(?P<commit>\S*))?")


def is_hub_name(name: str) -> bool:
    """Whether a name has the form of a hub name, with or without a commit."""
    return HUB_NAME.fullmatch(name) is not None
