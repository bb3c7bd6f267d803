"""What stands in for the service in tests speaks its language."""

from __future__ import annotations

import inspect

import pytest

from dashboards.control import Control
from tests.doubles import MemoryControl

VERBS = [name for name, verb in vars(Control).items() if inspect.isfunction(verb) and name[0] != "_"]


@pytest.mark.parametrize("name", VERBS)
def test_every_verb_is_a_coroutine_that_says_what_it_raises_or_returns(name: str) -> None:
    verb = getattr(Control, name)
    assert inspect.iscoroutinefunction(verb)
    assert verb.__doc__


@pytest.mark.parametrize("name", VERBS)
def test_the_double_has_every_verb_with_the_same_signature(name: str) -> None:
    assert inspect.signature(getattr(MemoryControl, name)) == inspect.signature(getattr(Control, name))
