"""Which engines a service runs: settings in, loaded engines out. Runs inside the actors' processes."""

from __future__ import annotations

import logging

from actors.worker import MakeTracker
from engines.protocols import Grounder, Tracker
from streaming.settings import Settings


def load_grounder(settings: Settings) -> Grounder:
    """The model that answers queries. Raises CheckpointError, NotFound."""
    _log_as(settings)
    from engines.grounding.grounder import load_grounder as load

    return load(settings.model)


def load_trackers(settings: Settings) -> MakeTracker:
    """Load and compile the tracker's weights once; returns what makes a tracker for each stream.

    Raises CheckpointError, NotFound, BackendUnavailable.
    """
    _log_as(settings)
    from engines.tracking.tracker import load_tracker

    weights = load_tracker(settings.tracker, settings.backend, settings.tracker_threads)

    def make() -> Tracker:
        return weights.tracker(capacity=settings.max_tracks_per_stream)

    return make


def _log_as(settings: Settings) -> None:
    logging.basicConfig(level=settings.log_level.upper(), format="%(levelname)s %(name)s: %(message)s")
