import itertools
import os
import resource
import threading
import time
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from streaming.errors import SourceInvalid, SourceUnavailable
from streaming.latest import Latest
from streaming.sources.clip import STILL_PERIOD_S, ClipSource, Playback, open_clip, pictures
from streaming.validation import DEFAULT_MAX_PIXELS
from streaming.vocabulary import Frame, SourceState, StreamId
from tests.files import moving_square, write
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


@pytest.mark.parametrize(("name", "codec"), [("a.h264", "libx264"), ("a.hevc", "libx265")])
def test_raw_video_without_timestamps_loops(tmp_path, seen, name, codec):
    path = write(tmp_path / name, codec=codec)
    source = play(path, seen, Playback(paced=False, looped=True))
    seen.wait(lambda s: len(s.frames) > 60)
    source.stop()
    assert [frame.pts_s for frame in seen.frames[:60]] == pytest.approx(np.arange(60) / 25, abs=0.002)
    first, again = seen.frames[0].pixels, seen.frames[25].pixels
    assert np.array_equal(first, again)


@pytest.mark.parametrize("name", ["late.mkv", "late.ts", "late.mp4"])
def test_a_clip_whose_timestamps_start_late_begins_at_zero(tmp_path, seen, name):
    play(write(tmp_path / name, pts=lambda index: index + 25 * 95_443), seen)
    seen.wait(lambda s: s.states[-1:] == [SourceState.ENDED])
    assert [frame.pts_s for frame in seen.frames] == pytest.approx(np.arange(25) / 25, abs=0.002)


@pytest.mark.parametrize("name", ["pause.mkv", "pause.mp4"])
def test_a_pause_of_the_media_keeps_its_length(tmp_path, seen, name):
    play(write(tmp_path / name, pts=lambda index: index + 25 * 3_600 * (index > 10)), seen)
    seen.wait(lambda s: s.states[-1:] == [SourceState.ENDED])
    steps = np.diff([frame.pts_s for frame in seen.frames])
    assert steps[10] == pytest.approx(3_600.04)
    assert np.delete(steps, 10) == pytest.approx(0.04, abs=0.002)


STILLS = ["a.png", "a.jpg", "a.webp", "a.bmp", "a.tiff", "a.gif", "a.avif"]


@pytest.mark.parametrize("name", STILLS)
def test_a_picture_is_a_stream_that_stands_still(tmp_path, seen, name):
    Image.fromarray(moving_square(0)).save(tmp_path / name)
    source = play(tmp_path / name, seen, Playback(paced=False, looped=True))
    seen.wait(lambda s: len(s.frames) > 5)
    source.stop()
    assert np.diff([frame.pts_s for frame in seen.frames]) == pytest.approx(STILL_PERIOD_S)
    for frame in seen.frames[:5]:
        assert np.abs(frame.pixels.astype(int) - moving_square(0)).mean() < 20


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt"), [("a.gif", "gif", "rgb8"), ("a.apng", "apng", "rgb24")]
)
def test_an_animation_plays(tmp_path, seen, name, codec, pix_fmt):
    play(write(tmp_path / name, codec=codec, pix_fmt=pix_fmt), seen)
    seen.wait(lambda s: s.states[-1:] == [SourceState.ENDED])
    assert len(seen.frames) == 25


def test_an_animated_webp_is_refused_with_a_way_out(tmp_path, seen):
    path = write(tmp_path / "a.webp", codec="libwebp_anim", container="webp")
    play(path, seen)
    seen.wait(lambda s: s.states[-1:] == [SourceState.FAILED])
    assert "convert it to MP4: animated WebP" in seen.statuses[-1].reason


@pytest.mark.parametrize("size", [(1, 1), (97, 161), (2, 6_000)])
def test_a_picture_of_any_size_is_shown(tmp_path, seen, size):
    Image.fromarray(np.zeros((*size, 3), np.uint8)).save(tmp_path / "a.png")
    play(tmp_path / "a.png", seen)
    seen.wait(lambda s: s.states[-1:] == [SourceState.ENDED])
    assert seen.frames[0].size == size


def test_a_picture_that_is_too_large_is_refused_and_the_setting_named(tmp_path):
    side = int(DEFAULT_MAX_PIXELS**0.5) + 1
    path = str(tmp_path / "huge.png")
    Image.new("1", (side, side)).save(path)
    with pytest.raises(SourceInvalid, match="max_frame_pixels"), open_clip(path) as reader:
        list(pictures(reader, path))
    with open_clip(path, side**2 + 64 * side) as reader:
        assert any(frame is not None for frame in reader.frames())


@pytest.mark.parametrize("name", [b"xxxx", b"mp4a", b"ap4h"])
def test_a_file_of_another_codec_than_it_says_is_refused(clip, tmp_path, name):
    path = tmp_path / "other.mp4"
    path.write_bytes(clip.read_bytes().replace(b"avc1", name).replace(b"avcC", b"skip"))
    with pytest.raises(SourceInvalid), open_clip(str(path)) as reader:
        list(pictures(reader, str(path)))


def test_a_video_that_is_too_large_is_refused_with_the_numbers(clip):
    with pytest.raises(SourceInvalid, match=r"\d+ x \d+ pixels; at most 1,000"):
        open_clip(str(clip), 1_000)


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
