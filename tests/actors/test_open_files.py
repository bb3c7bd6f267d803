"""The service may open as many files as the system allows."""

from __future__ import annotations

import resource
from collections.abc import Iterator

import pytest

from actors.open_files import raise_open_files_limit


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_low_soft_limit_is_raised_to_the_hard_one_and_never_lowered() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    raise_open_files_limit()
    raised, still_hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert still_hard == hard
    assert raised == (65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536))
    raise_open_files_limit()
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (raised, hard)
