"""The exceptions of the project. Exceptions of libraries become one of these in the module that calls the
library.

    SaccadeError                  code, message, remedy, retryable
    ├── UsageError                the caller's mistake: not retried, no side effect
    │   ├── InvalidQuery          empty, too long
    │   ├── InvalidStream         bad id, bad URL, unknown scheme, SDP offer without usable video
    │   ├── RefusedAddress        refused by the URL guard
    │   ├── NotFound              unknown stream, query, session, file, checkpoint
    │   ├── Conflict              exists already: a second publisher, a taken id
    │   ├── LimitReached          at a set capacity
    │   ├── InvalidSettings       invalid or contradictory settings
    │   └── Unauthorised          no token, or a wrong one
    ├── SourceError               a source failed: its stream retries, other streams are unaffected
    │   ├── SourceUnavailable     cannot connect, refused, timed out
    │   │   ├── SourceForbidden   it answered and refused us (401, 403)
    │   │   └── SourceUnreadable  it answered in a way that this reader cannot follow; another may
    │   ├── SourceStalled         connected, but no frame for too long
    │   └── SourceInvalid         connected, but not a video that can be decoded
    ├── StoreUnavailable          Redis does not answer, or refuses
    ├── TracksLost                a stream's tracks ended where it was hosted again: they cannot be restored
    ├── InvalidMessage            stored or received bytes that do not match their schema
    ├── CheckpointError           missing, surplus or mis-shaped tensors
    ├── BackendUnavailable        a runtime that is not installed or not usable here
    ├── GroundingFailed           the model failed on a keyframe: its queries are asked again
    │   └── GroundingTimedOut     it exceeded its time budget
    └── ServiceUnavailable        a part of the service is not up (yet)

`code` is stable and machine-readable (REST problem `type`, Redis `:errors`), `str(error)` is a line for
users, `remedy` says what to do, `retryable` whether the same call may succeed later.
"""

from __future__ import annotations

import re
from typing import ClassVar


class SaccadeError(Exception):
    """Base class of all errors of the project."""

    code: ClassVar[str] = "error"
    "The name of the class in snake case, without a final `error`."
    retryable: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        """Derive the code."""
        cls.code = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__.removesuffix("Error")).lower()

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle with the remedy, so that errors cross process boundaries."""
        return (_rebuild, (type(self), self.message, self.remedy))


def _rebuild(kind: type[SaccadeError], message: str, remedy: str) -> SaccadeError:
    return kind(message, remedy=remedy)


class UsageError(SaccadeError):
    """The caller's mistake."""


class InvalidQuery(UsageError):
    """A query that cannot be answered: empty, too long, a region on a wrong kind."""


class InvalidStream(UsageError):
    """A stream id, URL or SDP offer that cannot be used."""


class RefusedAddress(UsageError):
    """A URL that the URL guard does not allow."""


class NotFound(UsageError):
    """A named resource does not exist."""


class Conflict(UsageError):
    """A resource exists already or is in use."""


class LimitReached(UsageError):
    """A configured limit is reached."""


class InvalidSettings(UsageError):
    """Invalid or contradictory settings."""


class Unauthorised(UsageError):
    """No token, or a wrong one."""


class SourceError(SaccadeError):
    """A source failed; its stream retries, other streams are unaffected."""

    retryable = True


class SourceUnavailable(SourceError):
    """The source cannot be reached."""


class SourceForbidden(SourceUnavailable):
    """The source answered and refused us."""


class SourceUnreadable(SourceUnavailable):
    """The source answered, but not in a way that this reader can follow; another reader may."""


class SourceStalled(SourceError):
    """Connected, but no frame for too long."""


class SourceInvalid(SourceError):
    """Connected, but there is no video that can be decoded."""

    retryable = False


class StoreUnavailable(SaccadeError):
    """Redis does not answer, or refuses."""

    retryable = True


class TracksLost(SaccadeError):
    """A stream was hosted again and its tracks could not be restored."""


class InvalidMessage(SaccadeError):
    """Stored or received bytes that do not match their schema."""


class CheckpointError(SaccadeError):
    """A checkpoint whose tensors do not match its model."""


class BackendUnavailable(SaccadeError):
    """A runtime that is not installed, or not usable on this machine."""


class GroundingFailed(SaccadeError):
    """The model failed on a keyframe; its stream continues."""

    retryable = True


class GroundingTimedOut(GroundingFailed):
    """The model exceeded its time budget on a keyframe."""


class ServiceUnavailable(SaccadeError):
    """A part of the service is not up (yet)."""

    retryable = True
