"""Files that take long to make and can be made again: kept under a key, read only while they are whole.

The digest of a file's content is part of its name, so half a file (a full disk, a power cut) is found out
when it is read: it is said, removed, and made anew by whoever asked. Readers see a file whole or not at
all, and two processes that make the same one do not disturb each other.
"""

from __future__ import annotations

import hashlib
import logging
import os
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class KeptFile:
    """A file's content, and where it is."""

    content: bytes
    path: Path | None
    "None where it could not be kept."

    @property
    def digest(self) -> str:
        """SHA-256 of the content, in hex."""
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True, slots=True)
class KeptFiles:
    """A folder of files of one kind."""

    folder: Path | None
    "Made when it is first written to; None keeps nothing."
    suffix: str
    'Of their names: ".onnx".'

    def read(self, key: str) -> KeptFile | None:
        """The file of this key; None where there is none that is whole."""
        if self.folder is None:
            return None
        for path in sorted(self.folder.glob(f"{key}-*{self.suffix}")):
            try:
                kept = KeptFile(path.read_bytes(), path)
            except OSError as exc:
                log.warning("%s cannot be read and is made anew: %s", path, exc)
                continue
            if path.name == self._name(key, kept):
                return kept
            log.warning("%s is not what was written there and is made anew.", path)
            path.unlink(missing_ok=True)
        return None

    def write(self, key: str, content: bytes) -> KeptFile:
        """Keep it. On a full disk it is only said: the next process makes it again."""
        made = KeptFile(content, None)
        if self.folder is None:
            return made
        path = self.folder / self._name(key, made)
        partial = path.with_name(f"{path.name}.{os.getpid()}")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(content)
            partial.replace(path)
        except OSError as exc:
            log.warning("%s cannot be kept: %s", path, exc)
            _remove(partial)
            return made
        return KeptFile(content, path)

    def _name(self, key: str, kept: KeptFile) -> str:
        return f"{key}-{kept.digest[:16]}{self.suffix}"


def key_of(name: str, *parts: str) -> str:
    """A key that people recognise by its name, and that changes with every one of the parts."""
    return f"{name}-{hashlib.sha256(chr(0).join((name, *parts)).encode()).hexdigest()[:16]}"


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        log.debug("%s is left behind", path)
