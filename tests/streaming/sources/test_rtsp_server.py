import os
import signal
import subprocess
import sys
import time

import av
import pytest

from streaming.errors import ServiceUnavailable, SourceInvalid
from streaming.sources.rtsp_server import ClipPublisher, RtspServer, find_go2rtc, free_port
from tests.servers import FRAMES, RATE, ROOT, go2rtc, index_of, playing


def watch(port, count):
    """The first pictures pulled from a publisher: (index in the clip, timestamp s, arrival)."""
    with av.open(f"tcp://127.0.0.1:{port}", format="mpegts", timeout=10) as container:
        seen = []
        for frame in container.decode(video=0):
            seen.append((index_of(frame.to_ndarray(format="rgb24")), frame.time, time.time()))
            if len(seen) == count:
                return seen
    raise AssertionError("the publisher hung up")


@pytest.fixture
def publisher(clip):
    publisher = ClipPublisher(clip)
    publisher.start()
    yield publisher
    publisher.stop()


def test_a_clip_is_played_over_and_over_with_growing_timestamps(publisher):
    seen = watch(publisher.port, FRAMES + 20)
    first = seen[0][0]
    assert first % 10 == 0, "it starts at a key frame"
    assert [index for index, _, _ in seen] == [(first + k) % FRAMES for k in range(len(seen))]
    times = [at for _, at, _ in seen]
    assert [at - times[0] for at in times] == pytest.approx([k / RATE for k in range(len(seen))], abs=1e-3)


def test_it_says_when_its_first_frame_was_so_that_every_other_can_be_found(publisher):
    index, _, arrived_s = watch(publisher.port, 45)[-1]
    since_s = arrived_s - publisher.first_frame_s
    assert (since_s - index / RATE) % (FRAMES / RATE) < 3 / RATE


def test_a_publisher_that_nobody_watches_stops_at_once(publisher):
    publisher.stop()
    assert not publisher._thread.is_alive()


def test_what_is_no_clip_is_refused(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_text("words")
    with pytest.raises(SourceInvalid):
        ClipPublisher(path)


def test_a_server_listens_on_loopback_and_stops(clip):
    with playing(clip) as (server, _):
        assert server.url == f"rtsp://127.0.0.1:{server.port}/live"
        listening = subprocess.run(
            ["cat", "/proc/net/tcp"], capture_output=True, text=True, check=True
        ).stdout
        assert f"0100007F:{server.port:04X} 00000000:0000 0A" in listening
        pid = server._child.pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_server_that_cannot_start_says_what_it_said(tmp_path):
    fake = tmp_path / "server"
    fake.write_text("#!/bin/sh\necho no licence\nexit 3\n")
    fake.chmod(0o755)
    with pytest.raises(ServiceUnavailable, match="no licence"):
        RtspServer(fake, free_port()).start()


def test_the_server_dies_with_a_parent_that_is_killed(clip):
    script = (
        "import sys, time, pathlib\n"
        "from streaming.sources.rtsp_server import RtspServer\n"
        "server = RtspServer(pathlib.Path(sys.argv[1]), 1)\n"
        "server.start()\n"
        "print(server._child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script, str(go2rtc())], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    child = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    deadline_s = time.monotonic() + 10
    while _runs(child):
        assert time.monotonic() < deadline_s, "the server outlived its parent"
        time.sleep(0.01)


def _runs(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:  # noqa: PTH123
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_go2rtc_is_found_on_the_path_first(tmp_path, monkeypatch):
    binary = tmp_path / "go2rtc"
    binary.write_text("")
    binary.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_go2rtc(tmp_path) == binary
    monkeypatch.setenv("PATH", "")
    assert find_go2rtc(tmp_path) is None
    local = tmp_path / ".tools/node_modules/@camera.ui/go2rtc-linux-arm64/go2rtc"
    local.parent.mkdir(parents=True)
    local.write_text("")
    assert find_go2rtc(tmp_path) == local
