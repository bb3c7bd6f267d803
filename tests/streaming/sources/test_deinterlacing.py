"""Interlaced frames become whole pictures."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from streaming.sources.clip import open_clip
from streaming.sources.decoder import DecodedFrame
from streaming.sources.deinterlacing import Deinterlacer
from tests.files import HEIGHT, interlaced, moving_square, write

FIELDS = {"flags": "+ildct+ilme"}


def frames_of(path: Path) -> list[DecodedFrame]:
    with open_clip(str(path)) as reader:
        return [frame for frame in reader.frames() if frame is not None]


def combing(pixels: np.ndarray) -> float:
    """Mean difference of neighbouring lines across the square's edges."""
    lines = pixels[38:58, :, 0].astype(int)
    return float(np.abs(np.diff(lines, axis=0)).mean())


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("camcorder.mp4", "libx264", FIELDS | {"x264-params": "tff=1"}),
        ("broadcast.ts", "mpeg2video", FIELDS | {"b": "4M", "top": "1"}),
    ],
)
def test_fields_of_two_moments_do_not_comb(
    tmp_path: Path, name: str, codec: str, options: dict[str, str]
) -> None:
    path = write(tmp_path / name, codec=codec, picture=interlaced, **options)
    frames = frames_of(path)
    assert combing(interlaced(5)) > 2
    assert max(combing(frame.pixels) for frame in frames) < 1
    times = [frame.raw_pts_s for frame in frames]
    assert len(times) == 25
    assert np.diff(np.array(times, float)) == pytest.approx(1 / 25)


def test_a_picture_that_is_not_interlaced_passes_unchanged_and_at_once(tmp_path: Path) -> None:

    with av.open(str(write(tmp_path / "plain.mp4"))) as container:
        deinterlacer = Deinterlacer()
        for frame in container.decode(video=0):
            assert list(deinterlacer.push(frame)) == [frame]
        assert list(deinterlacer.push(None)) == []


def test_a_change_of_size_loses_no_interlaced_frame(tmp_path: Path) -> None:

    small = write(tmp_path / "a.mp4", picture=interlaced, **FIELDS)
    large = write(tmp_path / "b.mp4", picture=lambda k: interlaced(k).repeat(2, axis=0), **FIELDS)
    deinterlacer, heights = Deinterlacer(), []
    for path in (small, large):
        with av.open(str(path)) as container:
            heights += [
                whole.height for each in container.decode(video=0) for whole in deinterlacer.push(each)
            ]
    heights += [whole.height for whole in deinterlacer.push(None)]
    assert heights == [HEIGHT] * 25 + [2 * HEIGHT] * 25


def test_the_turn_of_an_interlaced_clip_is_kept(tmp_path: Path) -> None:
    frames = frames_of(write(tmp_path / "a.mp4", picture=interlaced, turn=(90, False, False), **FIELDS))
    expected = np.rot90(moving_square(0.25))
    assert all(frame.pixels.shape == expected.shape for frame in frames)
    assert np.abs(frames[0].pixels.astype(int) - expected).mean() < 8
