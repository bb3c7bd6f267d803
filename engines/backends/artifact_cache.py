"""A cache on disk for files that take long to make, such as exported graphs and engines.

A file's name contains its key and the digest of its content, so that a damaged file (a full disk, a power
cut) is detected when it is read; it is then logged, removed and made again. Files are written under another
name and renamed, so that readers and concurrent writers never see a partial file.
"""

from __future__ import annotations

import hashlib
import logging
import os
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Artifact:
    """A file's content and path."""

    content: bytes
    path: Path | None
    "None where it is not stored."

    @property
    def digest(self) -> str:
        """SHA-256 of the content, hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True, slots=True)
class ArtifactCache:
    """A folder of files with one suffix."""

    folder: Path | None
    "Created by the first write; None stores nothing."
    suffix: str
    'Of the file names, for example ".onnx".'

    def read(self, key: str) -> Artifact | None:
        """Return the file of a key; None where it is missing or damaged."""
        if self.folder is None:
            return None
        for path in sorted(self.folder.glob(f"{key}-*{self.suffix}")):
            try:
                stored = Artifact(path.read_bytes(), path)
            except OSError as exc:
                log.warning("%s cannot be read and is made again: %s", path, exc)
                continue
            if path.name == self._name(key, stored):
                return stored
            log.warning("%s is damaged and is made again.", path)
            path.unlink(missing_ok=True)
        return None

    def write(self, key: str, content: bytes) -> Artifact:
        """Store content under a key. A failure (a full disk) is logged; the result then has no path."""
        unstored = Artifact(content, None)
        if self.folder is None:
            return unstored
        path = self.folder / self._name(key, unstored)
        partial = path.with_name(f"{path.name}.{os.getpid()}")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(content)
            partial.replace(path)
        except OSError as exc:
            log.warning("%s cannot be stored: %s", path, exc)
            _remove(partial)
            return unstored
        return Artifact(content, path)

    def _name(self, key: str, file: Artifact) -> str:
        return f"{key}-{file.digest[:16]}{self.suffix}"


def artifact_key(name: str, *parts: str) -> str:
    """Return a key: the name, and a digest of the name and all parts."""
    return f"{name}-{hashlib.sha256(chr(0).join((name, *parts)).encode()).hexdigest()[:16]}"


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        log.debug("%s cannot be removed", path)
