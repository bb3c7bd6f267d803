"""One growing time line out of the many that a source speaks of. Pure."""

from __future__ import annotations

MAX_STEP_S = 10.0
"""A larger step than this is another time line: a wrapped or restarted clock, not a slow camera."""


MAX_BACK_S = 1.0
"""A smaller step back is disorder within one time line: servers stamp B-frames in decoding order."""

LEAST_STEP_S = 0.001


class Timeline:
    """Maps a source's own timestamps to seconds that always grow.

    Within one session the source's own steps are kept; where it goes back a little, ours waits for it. A new
    session (`restart`), a missing timestamp or one that leaps is continued by the wall clock instead.
    """

    def __init__(self) -> None:
        self._offset_s: float | None = None
        self._last_pts_s = 0.0
        self._last_seen_s: float | None = None

    def restart(self) -> None:
        """The next timestamp belongs to another session (a reconnect, the next loop of a clip)."""
        self._offset_s = None

    def at(self, raw_s: float | None, now_s: float) -> float:
        """Seconds on our time line of a picture dated `raw_s` by its source and seen at `now_s`."""
        if raw_s is not None and self._offset_s is not None:
            step_s = raw_s + self._offset_s - self._last_pts_s
        else:
            step_s = float("inf")
        if -MAX_BACK_S < step_s < MAX_STEP_S:
            pts_s = self._last_pts_s + max(LEAST_STEP_S, step_s)
        else:
            pts_s = self._by_wall_clock(now_s)
            self._offset_s = None if raw_s is None else pts_s - raw_s
        self._last_pts_s, self._last_seen_s = pts_s, now_s
        return pts_s

    def _by_wall_clock(self, now_s: float) -> float:
        if self._last_seen_s is None:
            return 0.0
        # The wall clock may stand still or step back, the time line must not.
        return self._last_pts_s + max(LEAST_STEP_S, now_s - self._last_seen_s)
