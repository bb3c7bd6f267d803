"""Firefox plays a stream and publishes its camera, with a service of default settings on the same machine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio

from actors.redis_server import RedisServer
from streaming.settings import Settings
from streaming.vocabulary import SourceState
from streaming.webrtc.ice import machine_addresses
from tests.firefox import FirefoxPage, firefox
from tests.page import TOKEN, Service, serving, until
from tests.peers import red_image
from tests.video_control import VideoControl
from tests.video_service import play

pytestmark = pytest.mark.asyncio(loop_scope="module")

PIXEL = """() => {
  const video = document.getElementById("video"), context = new OffscreenCanvas(320, 192).getContext("2d");
  context.drawImage(video, 0, 0, 320, 192);
  return [...context.getImageData(110, 80, 1, 1).data];
}"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[FirefoxPage]:
    """Firefox takes loopback candidates only if this is set, and any other address of the machine."""
    is_alone = not machine_addresses()
    profile = tmp_path_factory.mktemp("firefox")
    async with firefox(profile, media__peerconnection__ice__loopback=is_alone) as page:
        yield page


@pytest.fixture
def control() -> VideoControl:
    return VideoControl(Settings())


@pytest_asyncio.fixture(loop_scope="module")
async def service(redis_server: RedisServer, tmp_path: Path, control: VideoControl) -> AsyncIterator[Service]:
    async with serving(control, redis_server.url, tmp_path) as one:
        yield one
    await control.close()


async def test_firefox_plays_a_stream(browser: FirefoxPage, service: Service, control: VideoControl) -> None:
    stream_id = await service.live_stream("red", red_image().shape[:2])
    playing = asyncio.create_task(play(control, stream_id))
    await browser.open(f"{service.url}/#token={TOKEN}&stream=red")
    await browser.until('document.getElementById("stage").dataset.video === "playing"')
    red, green, blue, _ = await browser.evaluate(f"({PIXEL})()")
    assert red > 180 and green < 80 and blue < 80
    await browser.open("about:blank")
    await until(lambda: control.out.viewers == 0)
    playing.cancel()


async def test_firefox_publishes_its_camera(
    browser: FirefoxPage, service: Service, control: VideoControl
) -> None:
    await browser.open(f"{service.url}/#token={TOKEN}")
    await browser.evaluate("""(() => {
      document.getElementById("camera-details").open = true;
      document.getElementById("camera-id").value = "firefox";
      document.getElementById("camera-button").click();
    })()""")
    await browser.until("""document.getElementById("camera-state").textContent.startsWith("Live: ")""")
    ingest = control.ingest
    assert ingest is not None
    await until(lambda: ingest.status.frames >= 5)
    # Firefox's own camera is a plane whose colour changes, with the time written on it.
    assert ingest.status.state is SourceState.LIVE
    assert np.ptp(control.frames[-1].pixels) > 50
    await browser.open("about:blank")
    await until(lambda: ingest.status.state is SourceState.RECONNECTING)
