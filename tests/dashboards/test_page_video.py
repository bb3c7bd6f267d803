"""Video on the page: frames with their masks by WHEP, the browser's camera by WHIP."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from actors.redis_server import RedisServer
from streaming.status import WebRtcSession
from streaming.vocabulary import Clock, Frame, FrameResult, Latency, SourceState, StreamId, StreamSpec
from tests.browser import Watched, chromium, opened, write_camera
from tests.page import SIZE, TOKEN, Service, circle, serving, track, until
from tests.video_control import VideoControl

pytestmark = pytest.mark.asyncio(loop_scope="module")

BITS = 10
"Squares at the top of each picture that show its index in binary."


@pytest.fixture
def control() -> VideoControl:
    return VideoControl()


@pytest_asyncio.fixture(loop_scope="module")
async def service(redis_server: RedisServer, tmp_path: Path, control: VideoControl) -> AsyncIterator[Service]:
    async with serving(control, redis_server.url, tmp_path) as one:
        yield one
    await control.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Browser]:
    pictures = [
        np.where(circle(60 + 8 * i, 180, 50)[..., None], (230, 30, 30), (30, 60, 40)) for i in range(30)
    ]
    camera = write_camera(
        tmp_path_factory.mktemp("camera") / "camera.y4m", (p.astype(np.uint8) for p in pictures)
    )
    async with chromium(camera) as one:
        yield one


def centre_px(index: int) -> int:
    """Where the circle of a picture is: it moves by nine pixels from picture to picture."""
    return 80 + 9 * (index % 50)


def picture_of(index: int) -> np.ndarray:
    picture = np.where(circle(centre_px(index), 200, 50)[..., None], (230, 30, 30), (40, 50, 60)).astype(
        np.uint8
    )
    for bit in range(BITS):
        picture[:32, bit * 32 : bit * 32 + 32] = 255 if index >> bit & 1 else 0
    return picture


async def play(
    service: Service, control: VideoControl, stream_id: StreamId, *, fps: float, late_s: float
) -> None:
    """Frames at an even rate; the result of each comes `late_s` after it."""

    async def result_of(index: int, captured_s: float) -> None:
        await asyncio.sleep(late_s)
        now_s = time.time()
        service.writer.publish(
            FrameResult(
                stream_id,
                frame_index=index,
                pts_s=index / fps,
                captured_s=captured_s,
                clock=Clock.ARRIVAL,
                published_s=now_s,
                width=SIZE[1],
                height=SIZE[0],
                dropped=0,
                latency_s=Latency(0.001, late_s, now_s - captured_s),
                tracks=(track(1, circle(centre_px(index), 200, 50)),),
            )
        )

    started_s = time.time()
    async with asyncio.TaskGroup() as tasks:
        for index in range(100_000):
            captured_s = started_s + index / fps
            await asyncio.sleep(max(0.0, captured_s - time.time()))
            pixels = picture_of(index)
            control.out.push(Frame(stream_id, index, pixels, index / fps, captured_s, Clock.ARRIVAL))
            tasks.create_task(result_of(index, captured_s))


# For each of some pictures on the screen: the index it shows, and that of the result drawn over it.
WATCH = """(wanted) => new Promise((resolve) => {
  const video = document.getElementById("video"), overlay = document.getElementById("overlay"), seen = [];
  const context = new OffscreenCanvas(640, 360).getContext("2d", { willReadFrequently: true });
  const look = () => {
    if (seen.length < wanted) video.requestVideoFrameCallback(look);
    // After the page's own callback for this picture, whichever of the two was registered first.
    queueMicrotask(() => setTimeout(() => {
      context.drawImage(video, 0, 0, 640, 360);
      let index = 0;
      for (let bit = 0; bit < 10; bit++)
        if (context.getImageData(bit * 32 + 16, 16, 1, 1).data[0] > 128) index |= 1 << bit;
      seen.push([index, overlay.dataset.frame % 1024, overlay.dataset.sync]);
      if (seen.length === wanted) resolve(seen);
    }));
  };
  video.requestVideoFrameCallback(look);
})"""


async def test_each_frame_shows_its_own_masks(
    service: Service, control: VideoControl, watched: Watched
) -> None:
    """Although their rate is even, and although results come later than pictures."""
    page = watched.page
    stream_id = await service.live_stream("matched")
    playing = asyncio.create_task(play(service, control, stream_id, fps=10, late_s=0.1))
    await expect(page.locator("#stage")).to_have_attribute("data-video", "playing", timeout=15_000)
    await expect(page.locator("#n-sync")).to_have_text("masks frame-exact", timeout=20_000)
    # On a busy machine a result may come after its frame has gone, and the page then says so: such samples
    # are no error, so sampling goes on until there are enough that the page calls exact.
    exact: list[bool] = []
    async with asyncio.timeout(60):
        while len(exact) < 36:
            seen = await page.evaluate(WATCH, 40)
            exact += [shown == drawn for shown, drawn, how in seen if how == "exact"]
    playing.cancel()
    # A sample is read a moment after the page drew; on a busy machine the next frame may be shown by then.
    assert np.mean(exact) >= 0.9, exact


async def test_video_returns_after_a_lost_session(
    service: Service, control: VideoControl, watched: Watched
) -> None:
    page = watched.page
    stream_id = await service.live_stream("lost")
    playing = asyncio.create_task(play(service, control, stream_id, fps=10, late_s=0.02))
    await expect(page.locator("#stage")).to_have_attribute("data-video", "playing", timeout=15_000)
    await control.out.close()
    await expect(page.locator("#stage")).to_have_attribute("data-video", "none", timeout=15_000)
    await expect(page.locator("#stage")).to_have_attribute("data-video", "playing", timeout=15_000)
    playing.cancel()


async def test_a_page_that_reaches_no_candidate_says_where_it_tried_and_what_to_set(
    browser: Browser, service: Service, control: VideoControl
) -> None:
    """Every answer leads to a port where nothing listens, and the service does not know the browser's."""

    async def elsewhere(stream_id: StreamId, sdp: str) -> WebRtcSession:
        offer = re.sub(r"a=candidate:.*\r\n", "", sdp)
        session = WebRtcSession(*await control.out.offer(offer))
        sdp = re.sub(r"(a=candidate:\S+ 1 udp \d+) \S+ \d+", r"\1 127.0.0.1 9", session.answer_sdp)
        return replace(session, answer_sdp=sdp)

    control.whep_offer = elsewhere  # type: ignore[method-assign]
    await service.live_stream("unreached")
    async with opened(browser, f"{service.url}/#token={TOKEN}") as watched:
        note = watched.page.locator("#stage-note")
        await expect(note).to_contain_text("not reached by UDP at 127.0.0.1:9.", timeout=30_000)
        await expect(note).to_contain_text("media.peerconnection.ice.loopback")


async def test_leaving_a_stream_ends_its_session(
    service: Service, control: VideoControl, watched: Watched
) -> None:
    stream_id = await service.live_stream("left")
    playing = asyncio.create_task(play(service, control, stream_id, fps=10, late_s=0.02))
    await expect(watched.page.locator("#stage")).to_have_attribute("data-video", "playing", timeout=15_000)
    assert control.out.viewers == 1
    await control.remove_stream(stream_id)
    await service.poll_now()
    await expect(watched.page.locator("#stage-note")).to_have_text("Choose a stream, or add one.")
    await until(lambda: control.out.viewers == 0)
    playing.cancel()


async def test_closing_the_page_ends_its_session(
    browser: Browser, service: Service, control: VideoControl
) -> None:
    stream_id = await service.live_stream("closed")
    playing = asyncio.create_task(play(service, control, stream_id, fps=10, late_s=0.02))
    async with opened(browser, f"{service.url}/#token={TOKEN}") as watched:
        await expect(watched.page.locator("#stage")).to_have_attribute(
            "data-video", "playing", timeout=15_000
        )
        await watched.page.goto("about:blank")
        await until(lambda: control.out.viewers == 0, timeout_s=3)
    playing.cancel()


async def test_this_browsers_camera_is_published_and_stopped(
    service: Service, control: VideoControl, watched: Watched
) -> None:
    page = watched.page
    await _publish(watched, "my.camera")
    await expect(page.locator("#stage-name")).to_have_text("my.camera")
    await until(lambda: len(control.frames) >= 5)
    red = control.frames[-1].pixels[180, :, 0] > 150
    assert 60 <= red.sum() <= 140, "the circle of the fake camera"
    assert control.frames[-1].stream_id == "my.camera"

    await page.click("#camera-button")
    await expect(page.locator("#camera-state")).to_have_text("Stopped.")
    ingest = control.ingest
    assert ingest is not None
    await until(lambda: ingest.status.state is SourceState.RECONNECTING)


SIMULCAST = """async (path) => {
  const media = await navigator.mediaDevices.getUserMedia({ video: { width: 640, height: 360 } });
  const peer = new RTCPeerConnection();
  const sendEncodings = [4, 2, 1].map((scale) => ({ rid: `s${scale}`, scaleResolutionDownBy: scale }));
  peer.addTransceiver(media.getVideoTracks()[0], { direction: "sendonly", sendEncodings });
  const { hold } = await import("/peer.js");
  hold(peer, path, false, () => new Promise(() => {}));
}"""


async def test_of_a_browsers_simulcast_one_layer_arrives(control: VideoControl, watched: Watched) -> None:
    await control.add_stream(StreamSpec(StreamId("layers"), "whip:"))
    await watched.page.evaluate(SIMULCAST, "whip/layers")
    sizes = set()
    async with asyncio.timeout(30):
        while control.ingest is None or control.ingest.status.frames < 60:
            sizes |= {frame.size for frame in control.frames}
            await asyncio.sleep(0.02)
    assert len(sizes) == 1
    height, width = control.frames[-1].size
    red = control.frames[-1].pixels[height // 2, :, 0] > 150
    assert 60 <= red.sum() * 640 / width <= 140, "the circle of the fake camera"


async def test_the_camera_is_published_again_after_its_session_was_lost(
    control: VideoControl, watched: Watched
) -> None:
    await _publish(watched, "again")
    ingest = control.ingest
    assert ingest is not None
    await until(lambda: ingest.status.state is SourceState.LIVE)
    publisher = ingest._publisher
    assert publisher is not None
    await ingest.end(publisher.session_id)
    await until(lambda: ingest.status.state is SourceState.RECONNECTING)
    await until(lambda: ingest.status.state is SourceState.LIVE, timeout_s=30)


async def test_a_second_publisher_sees_the_conflict(
    browser: Browser, service: Service, watched: Watched
) -> None:
    await _publish(watched, "shared")
    async with opened(browser, f"{service.url}/#token={TOKEN}") as other:
        await other.page.click("#camera-details summary")
        await other.page.fill("#camera-id", "shared")
        await other.page.click("#camera-button")
        trouble = other.page.locator("#trouble")
        await expect(trouble).to_contain_text("Somebody else publishes as “shared” already.", timeout=15_000)
        await expect(other.page.locator("#camera-button")).to_have_text("Start")
    await expect(watched.page.locator("#camera-state")).to_have_text("Live: this camera is published.")


async def _publish(watched: Watched, name: str) -> None:
    # Not by a click, which would close what the page has just opened itself.
    await watched.page.locator("#camera-details").evaluate("(details) => { details.open = true; }")
    await watched.page.fill("#camera-id", name)
    await watched.page.click("#camera-button")
    await expect(watched.page.locator("#camera-state")).to_have_text(
        "Live: this camera is published.", timeout=15_000
    )
