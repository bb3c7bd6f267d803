"""Frames are written to an MP4."""

from pathlib import Path

import av
import numpy as np
import pytest

from streaming.errors import SaccadeError
from streaming.video_writer import VideoWriter


def picture(value: int, size: tuple[int, int] = (48, 64)) -> np.ndarray:
    return np.full((*size, 3), value, np.uint8)


def read(path: Path) -> list[tuple[float, float]]:
    with av.open(str(path)) as container:
        return [
            (float(frame.time), float(frame.to_ndarray(format="rgb24").mean()))
            for frame in container.decode(video=0)
        ]


def test_every_frame_is_read_back_with_its_timestamp(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "out.mp4", fps=25) as writer:
        for index in range(5):
            writer.write(picture(40 * index), index * 0.04)
    times, means = zip(*read(tmp_path / "out.mp4"), strict=True)
    assert times == pytest.approx([0, 0.04, 0.08, 0.12, 0.16], abs=1e-3)
    assert means == pytest.approx([0, 40, 80, 120, 160], abs=3)


def test_an_odd_size_loses_its_last_row_and_column(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "odd.mp4", fps=25) as writer:
        writer.write(picture(90, (49, 65)), 0.0)
    with av.open(str(tmp_path / "odd.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.height, stream.width) == (48, 64)


@pytest.mark.parametrize(
    ("size", "encoded"),
    [((1, 1), (16, 16)), ((2, 64), (16, 512)), ((5_000, 2_500), (4_096, 2_048)), ((2, 9_000), (16, 4_096))],
)
def test_a_size_that_encoders_refuse_is_scaled(
    tmp_path: Path, size: tuple[int, int], encoded: tuple[int, int]
) -> None:
    with VideoWriter(tmp_path / "size.mp4", fps=25) as writer:
        writer.write(picture(90, size), 0.0)
    with av.open(str(tmp_path / "size.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.height, stream.width) == encoded
    assert [mean for _, mean in read(tmp_path / "size.mp4")] == pytest.approx([90], abs=3)


def test_a_frame_of_another_size_is_scaled_to_the_first(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "two.mp4", fps=25) as writer:
        writer.write(picture(90), 0.0)
        writer.write(picture(150, (96, 200)), 0.04)
    assert [mean for _, mean in read(tmp_path / "two.mp4")] == pytest.approx([90, 150], abs=3)


@pytest.mark.parametrize("fps", [0.0001, 90_000.0])
def test_any_frame_rate_is_written(tmp_path: Path, fps: float) -> None:
    with VideoWriter(tmp_path / "rate.mp4", fps=fps) as writer:
        writer.write(picture(90), 0.0)
        writer.write(picture(90), 3_600.0)
    assert [time for time, _ in read(tmp_path / "rate.mp4")] == pytest.approx([0, 3_600])


def test_a_clock_that_goes_back_does_not_break_the_file(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "back.mp4", fps=25) as writer:
        for pts_s in (0.0, 0.04, 0.0, 0.08):
            writer.write(picture(90), pts_s)
    times = [time for time, _ in read(tmp_path / "back.mp4")]
    assert len(times) == 4
    assert times == sorted(set(times))


def test_the_file_is_renamed_when_it_is_complete(tmp_path: Path) -> None:
    writer = VideoWriter(tmp_path / "out.mp4", fps=25)
    writer.write(picture(90), 0.0)
    assert not (tmp_path / "out.mp4").exists()
    writer.close()
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.mp4"]


def test_no_frame_makes_no_file(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "none.mp4", fps=25):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_created_raises(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with (
        pytest.raises(SaccadeError, match="Cannot write"),
        VideoWriter(tmp_path / "file" / "out.mp4", fps=25) as writer,
    ):
        writer.write(picture(90), 0.0)
