"""Loads the engines that the settings name. Runs in the processes of the actors."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

from actors.log_repeats import RepeatedLogFilter
from actors.worker import MakeTracker
from engines.protocols import SharedGrounder, Tracker
from streaming.errors import BackendUnavailable
from streaming.settings import Settings

if TYPE_CHECKING:
    from engines.backends.graph import PrecisionChoice
    from engines.tracking.compiled import CompiledTracker

log = logging.getLogger(__name__)


def load_grounder(settings: Settings) -> SharedGrounder:
    """Load the grounding model. Raises CheckpointError, NotFound, BackendUnavailable."""
    _configure_logging(settings)
    # Imported here and below: the libraries take seconds to import, and each process needs only its own.
    from engines.grounding import grounder
    from engines.grounding.checkpoints import RunOptions

    running = RunOptions(settings.model_dtype, settings.model_device, settings.model_tiles)
    return grounder.load_grounder(settings.model, running)


def load_trackers(settings: Settings) -> MakeTracker:
    """Load and compile the tracker's weights once; return a function that makes a tracker for each stream.

    Raises CheckpointError, NotFound, BackendUnavailable.
    """
    compiled = load_compiled(settings)
    from engines.tracking.tracker import SamTracker

    def make() -> Tracker:
        return SamTracker(compiled, capacity=settings.max_tracks_per_stream)

    return make


def load_compiled(settings: Settings) -> CompiledTracker:
    """Load the tracker's graphs, compiled for this machine. Raises as `load_trackers`.

    In float32 where the precision is `auto` and the faster one is computed wrong (see `parity_check.py`).
    """
    _configure_logging(settings)
    try:
        return _open_tracker(settings, settings.tracker_precision)
    except BackendUnavailable as exc:
        if settings.tracker_precision != "auto":
            raise
        log.warning("Tracking in float32 instead. %s", exc)
        return _open_tracker(settings, "float32")


def _open_tracker(settings: Settings, precision: PrecisionChoice) -> CompiledTracker:
    from engines.backends.choose import choose_backend
    from engines.tracking.compilation import open_tracker

    backend = choose_backend(
        settings.backend,
        threads=settings.tracker_threads,
        capacity=settings.max_tracks_per_stream,
        precision=precision,
        cache_dir=settings.cache_dir,
    )
    return open_tracker(settings.tracker, backend, settings.cache_dir, settings.tracker_px)


def _configure_logging(settings: Settings) -> None:
    # As the command line does: processes that Ray starts do not run it.
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    handler = logging.StreamHandler()
    handler.addFilter(RepeatedLogFilter())
    logging.basicConfig(
        level=settings.log_level.upper(), format="%(levelname)s %(name)s: %(message)s", handlers=[handler]
    )
