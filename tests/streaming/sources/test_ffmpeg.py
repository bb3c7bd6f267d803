import builtins

import av
import pytest

from streaming.errors import SourceForbidden, SourceInvalid, SourceStalled, SourceUnavailable
from streaming.sources.clip import clip_options
from streaming.sources.ffmpeg import FFmpegReader, OpenOptions, translate
from tests.servers import FRAMES, RATE


def test_length_and_rate_are_read_from_the_file(clip):
    with FFmpegReader(clip_options(str(clip))) as reader:
        assert (reader.length, reader.rate) == (FRAMES, RATE)


def test_a_codec_that_is_held_back_is_dated_by_the_packet_before(clip):
    plain = clip_options(str(clip))
    held = OpenOptions(plain.location, plain.shown, options=plain.options, parsed=frozenset({"h264"}))
    with FFmpegReader(held) as reader:
        pictures = [picture for picture in reader.frames() if picture is not None]
    # The first has nothing before it; from then on each is dated when the one before was read.
    assert pictures[1].arrived_s == pictures[0].arrived_s
    assert pictures[2].arrived_s < pictures[3].arrived_s


@pytest.mark.parametrize(
    ("code", "kind", "says"),
    [
        (av.error.HTTPUnauthorizedError, SourceForbidden, "password"),
        (av.error.HTTPForbiddenError, SourceForbidden, "401 or 403"),
        (av.error.HTTPNotFoundError, SourceUnavailable, "404"),
        (av.error.ExitError, SourceStalled, "in time"),
        (av.error.FileNotFoundError, SourceUnavailable, "not there"),
        (av.error.InvalidDataError, SourceInvalid, "not a video"),
        (av.error.ConnectionRefusedError, SourceUnavailable, "reachable"),
        (builtins.OSError, SourceUnavailable, "reachable"),
    ],
)
def test_every_ffmpeg_error_maps_to_a_source_error(code, kind, says):
    exc = code(1, "rtsp://u:hush@h/ went wrong") if code is not builtins.OSError else OSError(1, "hush")
    error = translate(exc, "rtsp://***@h/")
    assert type(error) is kind
    assert says in str(error)
    assert "u:hush@" not in str(error)
