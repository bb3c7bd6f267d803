"""One limit of a picture's size for every way in, applied before memory is allocated for the picture."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path

import pytest

from streaming.errors import SourceInvalid
from streaming.settings import Settings
from streaming.sources.clip import open_clip, pictures
from streaming.sources.factory import open_source
from streaming.url_guard import SourcePolicy
from streaming.vocabulary import SourceState, StreamId, StreamSpec
from tests.streaming.conftest import Seen

PEAK_MB = """
import contextlib, resource, sys
from streaming.errors import SourceError
from streaming.sources.clip import open_clip
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with contextlib.suppress(SourceError), open_clip(sys.argv[1]) as reader:
    for _ in reader.frames():
        pass
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def gif(side: int) -> bytes:
    """Return a picture of one colour whose header claims side x side pixels."""
    header = b"GIF89a" + struct.pack("<HHBBB", side, side, 0x80, 0, 0) + bytes(6)
    return header + b"," + struct.pack("<HHHHB", 0, 0, side, side, 0) + b"\x02\x02\x44\x01\x00;"


@pytest.mark.parametrize("side", [10_000, 60_000])
def test_a_tiny_file_of_a_huge_picture_takes_no_memory(side: int, tmp_path: Path) -> None:
    path = tmp_path / "bomb.gif"
    path.write_bytes(gif(side))
    with pytest.raises(SourceInvalid, match="max_frame_pixels"), open_clip(str(path)) as reader:
        list(pictures(reader, str(path)))
    done = subprocess.run(
        [sys.executable, "-c", PEAK_MB, str(path)], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 100


def test_the_limit_is_a_setting_and_the_status_names_it(clip: Path, seen: Seen) -> None:
    settings = Settings(max_frame_pixels=5_000, media_dirs=[clip.parent])
    spec = StreamSpec(StreamId("gate"), clip.as_uri())
    source = open_source(spec, SourcePolicy.from_settings(settings), settings)
    source.start(seen.deliver, seen.report)
    seen.wait(lambda s: s.states[-1:] == [SourceState.FAILED])
    assert "max_frame_pixels" in source.status.reason and not seen.frames
