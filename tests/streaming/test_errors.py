"""Every error is documented, has a code, and can be pickled."""

from __future__ import annotations

import inspect
import pickle

import pytest

from streaming import errors
from streaming.errors import NotFound, SaccadeError

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, SaccadeError)]


def test_every_error_is_in_the_tree_of_the_module_docstring() -> None:
    assert errors.__doc__ is not None
    assert [kind.__name__ for kind in KINDS if kind.__name__ not in errors.__doc__] == []


def test_codes_are_unique() -> None:
    codes = [kind.code for kind in KINDS]
    assert sorted(codes) == sorted(set(codes))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_error_survives_the_way_between_processes(kind: type[SaccadeError]) -> None:
    error = pickle.loads(pickle.dumps(kind("It happened.", remedy="Do that.")))
    assert type(error) is kind
    assert (error.message, error.remedy, str(error)) == ("It happened.", "Do that.", "It happened. Do that.")


def test_an_error_without_a_remedy_is_one_clean_sentence() -> None:
    assert str(NotFound("No stream gate.")) == "No stream gate."


def test_codes_are_the_names_of_the_classes() -> None:
    """They are stored and published: a class that is renamed changes the interface."""
    assert [errors.SaccadeError.code, errors.UsageError.code, errors.CheckpointError.code] == [
        *("error", "usage", "checkpoint")
    ]
    assert errors.GroundingTimedOut.code == "grounding_timed_out"
    assert errors.SourceUnreadable.code == "source_unreadable"
