"""The number of descriptors that a process may have open."""

from __future__ import annotations

import resource
from typing import Final

_ENOUGH: Final = 65_536


def raise_open_files_limit() -> None:
    """Raise the soft limit to the hard one, 65,536 at most: many systems set it to 1,024.

    Child processes inherit it.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
