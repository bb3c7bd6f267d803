import itertools
import os
import resource
import threading
import time
from pathlib import Path

import av
import numpy as np
import pytest

from streaming.errors import SourceInvalid, SourceUnavailable
from streaming.latest import Latest
from streaming.sources.clip import ClipSource, Playback, open_clip
from streaming.vocabulary import Frame, SourceState, StreamId
from tests.servers import FRAMES, HEIGHT, RATE, WIDTH, index_of, write_clip

ID = StreamId("clip")
FAST = Playback(paced=False)


def play(path, seen, playback=FAST):
    source = ClipSource(ID, str(path), playback)
    source.start(seen.deliver, seen.report)
    return source


def test_every_frame_is_delivered_once_in_order_before_the_end(clip, seen):
    play(clip, seen)
    seen.wait(lambda s: s.states[-1:] == [SourceState.ENDED])
    assert seen.states == [SourceState.STARTING, SourceState.LIVE, SourceState.ENDED]
    assert [frame.index for frame in seen.frames] == list(range(FRAMES))
    assert [index_of(frame.pixels) for frame in seen.frames] == list(range(FRAMES))
    assert [frame.pts_s for frame in seen.frames] == pytest.approx(np.arange(FRAMES) / RATE)


def test_frames_are_rgb_contiguous_and_own_their_memory(clip, seen):
    play(clip, seen)
    seen.wait(lambda s: len(s.frames) == FRAMES)
    pixels = seen.frames[10].pixels
    assert pixels.shape == (HEIGHT, WIDTH, 3)
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous
    assert np.abs(pixels[48, 32].astype(int) - (230, 40, 40)).max() < 20
    assert not np.shares_memory(pixels, seen.frames[11].pixels)
    assert seen.frames[10].decode_s > 0


def test_b_frames_come_in_the_order_of_showing(tmp_path, seen):
    play(write_clip(tmp_path / "b.mp4", b_frames=2), seen)
    seen.wait(lambda s: s.states[-1:] == [SourceState.ENDED])
    assert [index_of(frame.pixels) for frame in seen.frames] == list(range(FRAMES))
    assert all(a.pts_s < b.pts_s for a, b in itertools.pairwise(seen.frames))


@pytest.mark.parametrize(("name", "codec"), [("a.avi", "mpeg4"), ("a.webm", "libvpx")])
def test_other_containers_and_codecs_play_too(tmp_path, seen, name, codec):
    play(write_clip(tmp_path / name, codec=codec), seen)
    seen.wait(lambda s: s.states[-1:] == [SourceState.ENDED])
    assert len(seen.frames) == FRAMES


def test_a_loop_keeps_indices_and_time_growing(clip, seen):
    source = play(clip, seen, Playback(paced=False, looped=True))
    seen.wait(lambda s: len(s.frames) > 2 * FRAMES + 5)
    source.stop()
    frames = seen.frames
    assert [frame.index for frame in frames] == list(range(len(frames)))
    assert [index_of(frame.pixels) for frame in frames] == [i % FRAMES for i in range(len(frames))]
    assert [frame.pts_s for frame in frames] == pytest.approx(np.arange(len(frames)) / RATE)


def test_a_paced_clip_comes_by_its_own_clock(clip, seen):
    started_s = time.time()
    source = play(clip, seen, Playback(paced=True))
    seen.wait(lambda s: len(s.frames) >= 10)
    source.stop()
    # The clock is the wall's, but for waits that end late: never early, so frame k comes after k periods.
    for frame in seen.frames[:10]:
        assert frame.captured_s - started_s > frame.pts_s


def test_nothing_is_lost_when_frames_are_handed_over(clip, seen):
    slot = Latest[Frame]()
    source = ClipSource(ID, str(clip), FAST)
    source.start(slot.put_blocking, seen.report)
    indices = []
    while len(indices) < FRAMES:
        taken = slot.take(10)
        assert taken is not None
        assert taken[1] == 0
        indices.append(taken[0].index)
    assert indices == list(range(FRAMES))
    source.stop()


def test_a_clip_that_waits_to_hand_over_can_be_stopped(clip, seen):
    slot = Latest[Frame]()
    source = ClipSource(ID, str(clip), FAST)
    source.start(slot.put_blocking, seen.report)
    assert slot.take(10) is not None
    slot.close()
    assert source.stop()


@pytest.mark.parametrize(
    "content",
    [b"", b"just words\n" * 200, os.urandom(5_000), b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:1/a.ts\n",
     b"ffconcat version 1.0\nfile /etc/passwd\n"],
    ids=["empty", "text", "noise", "playlist", "script"],
)  # fmt: skip
def test_a_file_that_is_no_video_fails_once_and_says_so(tmp_path, seen, content):
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    play(path, seen)
    seen.wait(lambda s: s.states[-1:] == [SourceState.FAILED])
    assert seen.statuses[-1].code == "source_invalid"
    assert "not a video" in seen.statuses[-1].reason
    assert not seen.frames
    with pytest.raises(SourceInvalid):
        open_clip(str(path))


def test_a_file_of_sound_only_has_no_video(tmp_path):
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8_000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 8_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(SourceInvalid, match="no video"):
        open_clip(str(path))


def test_a_file_that_is_not_there_is_unavailable(tmp_path):
    with pytest.raises(SourceUnavailable, match="not there"):
        open_clip(str(tmp_path / "none.mp4"))


def damaged(clip, path, share):
    """The clip with a share of the bytes in the middle of its media data flipped."""
    data = bytearray(clip.read_bytes())
    start, end = data.index(b"mdat") + 1_500, len(data) * 45 // 100
    rng = np.random.default_rng(0)
    for position in range(start, end):
        if rng.random() < share:
            data[position] ^= 0xFF
    path.write_bytes(data)
    return path


def test_damaged_packets_are_counted_and_the_clip_goes_on(clip, tmp_path, seen):
    play(damaged(clip, tmp_path / "bad.mp4", 0.05), seen)
    seen.wait(lambda s: s.states[-1:] in ([SourceState.ENDED], [SourceState.FAILED]))
    assert seen.states[-1] is SourceState.ENDED
    assert seen.statuses[-1].corrupt > 0
    assert len(seen.frames) > FRAMES // 4
    assert index_of(seen.frames[-1].pixels) == FRAMES - 1


def resident_bytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def test_an_endless_clip_uses_constant_memory(clip):
    slot = Latest[Frame]()
    source = ClipSource(ID, str(clip), Playback(paced=False, looped=True))
    source.start(slot.put_blocking, lambda _: None)
    sizes = []
    for _ in range(3):
        while (taken := slot.take(10)) is not None and taken[0].index % 700 != 699:
            continue
        sizes.append(resident_bytes())
    slot.close()
    source.stop()
    one_picture = HEIGHT * WIDTH * 3
    assert sizes[2] - sizes[1] < 50 * one_picture, "700 frames later, not 50 pictures more"


def test_a_clip_that_is_stopped_ends(clip, seen):
    source = play(clip, seen, Playback(paced=True, looped=True))
    seen.wait(lambda s: s.frames)
    assert source.stop()
    assert seen.states[-1] is SourceState.ENDED
    assert not any(thread.name == f"source-{ID}" for thread in threading.enumerate())
