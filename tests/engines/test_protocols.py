"""The two verbs, and who speaks them."""

from __future__ import annotations

import inspect

import pytest

from engines.grounding.grounder import SaGrounder
from engines.protocols import Grounder, SharedGrounder, Tracker
from engines.tracking.tracker import SamTracker
from tests.doubles import ColourGrounder, ColourTracker

VERBS = {Tracker: ("step", "pin", "release"), Grounder: ("ground",)}
VERBS[SharedGrounder] = (*VERBS[Grounder], "ground_together", "say")


@pytest.mark.parametrize(
    ("spoken", "protocol"),
    [
        (SamTracker, Tracker),
        (ColourTracker, Tracker),
        (SaGrounder, SharedGrounder),
        (ColourGrounder, SharedGrounder),
    ],
)
def test_an_engine_has_its_protocols_verbs_with_the_same_words(spoken: type, protocol: type) -> None:
    for verb in VERBS[protocol]:
        wanted = inspect.signature(getattr(protocol, verb)).parameters
        given = inspect.signature(getattr(spoken, verb)).parameters
        assert list(given) == list(wanted), verb
