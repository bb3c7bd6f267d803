"""The tree of errors. Foreign errors become one of these once, at the edge where they enter.

    SaccadeError                  code, what happened, what to do, worth a retry?
    ├── UsageError                their mistake: never retried, nothing else is touched
    │   ├── InvalidQuery          empty, too long
    │   ├── InvalidStream         bad id, bad URL, unknown scheme, an SDP offer without usable video
    │   ├── RefusedAddress        the URL guard said no
    │   ├── NotFound              unknown stream, query, session, file, checkpoint
    │   ├── Conflict              already there: a second publisher, a taken id
    │   ├── LimitReached          at a set capacity
    │   ├── InvalidSettings       a setting that cannot hold
    │   └── Unauthorised          no token, or a wrong one
    ├── SourceError               a camera's trouble: its stream retries, its neighbours live on
    │   ├── SourceUnavailable     cannot connect, refused, timed out
    │   │   └── SourceForbidden   it answered, and does not let us in (401, 403)
    │   ├── SourceStalled         connected, but no picture for too long
    │   └── SourceInvalid         connected, but not a video that can be decoded
    ├── StoreUnavailable          Redis is away
    ├── InvalidMessage            stored or sent bytes that are not what their schema says
    ├── CheckpointError           missing, surplus or mis-shaped tensors
    ├── BackendUnavailable        a runtime that is not installed or cannot run here
    ├── GroundingFailed           the model fell over one keyframe: its queries are asked again
    │   └── GroundingTimedOut     it took longer than it may
    └── ServiceUnavailable        a part of the service is not up (yet)

`code` is stable and machine-readable (REST problem `type`, Redis `:errors`), `str(error)` is one
line for people, `remedy` says what to do about it, `retryable` whether the same call may succeed later.
"""

from __future__ import annotations

from typing import ClassVar


class SaccadeError(Exception):
    """Root of the tree."""

    code: ClassVar[str] = "error"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()

    def __reduce__(self) -> tuple[object, ...]:
        """Survive the way between processes, the remedy included."""
        return (_rebuild, (type(self), self.message, self.remedy))


def _rebuild(kind: type[SaccadeError], message: str, remedy: str) -> SaccadeError:
    return kind(message, remedy=remedy)


class UsageError(SaccadeError):
    """The caller's mistake."""

    code = "usage"


class InvalidQuery(UsageError):
    """A query that cannot be asked."""

    code = "invalid_query"


class InvalidStream(UsageError):
    """A stream id, URL or SDP offer that cannot be used."""

    code = "invalid_stream"


class RefusedAddress(UsageError):
    """A URL that the guard does not let a source reach."""

    code = "refused_address"


class NotFound(UsageError):
    """Something named that is not there."""

    code = "not_found"


class Conflict(UsageError):
    """Something that is there already."""

    code = "conflict"


class LimitReached(UsageError):
    """A set capacity is full."""

    code = "limit_reached"


class InvalidSettings(UsageError):
    """Settings that cannot hold."""

    code = "invalid_settings"


class Unauthorised(UsageError):
    """No token, or a wrong one."""

    code = "unauthorised"


class SourceError(SaccadeError):
    """A source's trouble; the stream retries, its neighbours do not notice."""

    code = "source"
    retryable = True


class SourceUnavailable(SourceError):
    """The source cannot be reached."""

    code = "source_unavailable"


class SourceForbidden(SourceUnavailable):
    """The source answered, and does not let us in."""

    code = "source_forbidden"


class SourceStalled(SourceError):
    """Connected, but no picture came for too long."""

    code = "source_stalled"


class SourceInvalid(SourceError):
    """Connected, but there is no video in it that can be decoded."""

    code = "source_invalid"
    retryable = False


class StoreUnavailable(SaccadeError):
    """Redis is away."""

    code = "store_unavailable"
    retryable = True


class InvalidMessage(SaccadeError):
    """Stored or sent bytes that are not what their schema says."""

    code = "invalid_message"


class CheckpointError(SaccadeError):
    """A checkpoint that does not fit the model it claims to be."""

    code = "checkpoint"


class BackendUnavailable(SaccadeError):
    """A runtime that is not installed, or cannot run on this machine."""

    code = "backend_unavailable"


class GroundingFailed(SaccadeError):
    """The model could not answer about a keyframe; its stream goes on."""

    code = "grounding_failed"
    retryable = True


class GroundingTimedOut(GroundingFailed):
    """The model took longer over a keyframe than it may."""

    code = "grounding_timed_out"


class ServiceUnavailable(SaccadeError):
    """A part of the service is not up (yet)."""

    code = "service_unavailable"
    retryable = True
