"""Maps the timestamps of a source to an increasing `pts_s`. Pure."""

from __future__ import annotations

MAX_STEP_S = 10.0
"""A larger step is a wrapped or restarted clock, not a slow camera. As FFmpeg's `-dts_delta_threshold`."""

MAX_PAUSE_S = 30 * 3600.0
"""The same where clocks do not restart, so that pauses stay. As FFmpeg's `-dts_error_threshold`."""

MAX_BACK_S = 1.0
"""A smaller step back is reordering: servers stamp B-frames in decoding order."""

LEAST_STEP_S = 0.001


class Timeline:
    """Maps a source's timestamps to strictly increasing seconds.

    Within a connection the differences of the source's timestamps are kept; where they go back a little,
    `pts_s` advances by LEAST_STEP_S until they have caught up. After `restart`, without a timestamp, or after
    a jump, the time at which frames are seen gives the difference.
    """

    def __init__(self, max_step_s: float = MAX_STEP_S) -> None:
        self._max_step_s = max_step_s
        self._offset_s: float | None = None
        self._last_pts_s = 0.0
        self._last_now_s: float | None = None

    def restart(self) -> None:
        """Start a new connection or the next loop of a clip: the next timestamp is unrelated to the last."""
        self._offset_s = None

    def at(self, raw_s: float | None, now_s: float) -> float:
        """Return `pts_s` of a frame with timestamp `raw_s` of its source, seen at `now_s`.

        `now_s` is of any monotonic clock.
        """
        if raw_s is not None and self._offset_s is not None:
            step_s = raw_s + self._offset_s - self._last_pts_s
        else:
            step_s = float("inf")
        if -MAX_BACK_S < step_s < self._max_step_s:
            pts_s = self._last_pts_s + max(LEAST_STEP_S, step_s)
        else:
            pts_s = self._by_clock(now_s)
            self._offset_s = None if raw_s is None else pts_s - raw_s
        self._last_pts_s, self._last_now_s = pts_s, now_s
        return pts_s

    def _by_clock(self, now_s: float) -> float:
        if self._last_now_s is None:
            return 0.0
        # The clock of a file's frames may stand still; pts_s must increase.
        return self._last_pts_s + max(LEAST_STEP_S, now_s - self._last_now_s)
