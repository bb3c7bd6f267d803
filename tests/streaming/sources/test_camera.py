import av

from streaming.sources.camera import CameraSource, camera_options
from streaming.sources.live import SourceLimits
from streaming.url_guard import ParsedSource
from streaming.vocabulary import SourceState, StreamId

PATIENCE = SourceLimits(1.0, 1.0)


def test_a_camera_that_is_not_there_is_waited_for_with_a_clear_reason(seen):
    source = CameraSource(StreamId("c"), ParsedSource("camera", "/dev/video987", "x"), PATIENCE)
    source.start(seen.deliver, seen.report)
    seen.wait(lambda s: s.states[-1:] == [SourceState.RECONNECTING])
    assert "no camera at /dev/video987" in source.status.reason
    assert source.stop()


def test_a_device_that_is_no_camera_is_not_shown(seen, tmp_path):
    device = tmp_path / "video0"
    device.write_bytes(b"no camera")
    source = CameraSource(StreamId("c"), ParsedSource("camera", str(device), str(device)), PATIENCE)
    source.start(seen.deliver, seen.report)
    seen.wait(lambda s: s.states[-1:] == [SourceState.RECONNECTING])
    assert str(device) in source.status.reason
    assert source.stop()


def test_ffmpeg_has_video4linux():
    assert any("video4linux2" in name for name in av.formats_available)


def test_mjpeg_is_tried_before_what_the_camera_prefers():
    source = ParsedSource("camera", "/dev/video0", "/dev/video0", options=(("video_size", "640x480"),))
    first, second = camera_options(source, PATIENCE)
    assert first.options == {"video_size": "640x480", "input_format": "mjpeg"}
    assert second.options == {"video_size": "640x480"}


def test_a_format_of_the_users_choice_is_the_only_one_tried():
    source = ParsedSource("camera", "/dev/video0", "/dev/video0", options=(("input_format", "yuyv422"),))
    assert [each.options for each in camera_options(source, PATIENCE)] == [{"input_format": "yuyv422"}]
