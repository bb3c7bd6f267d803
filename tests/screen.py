"""Publishes a drawn scene from a browser's camera; compares masks on its screen with the video below them."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from playwright.async_api import Browser, Page, expect

from lab.training.world.holdout import HELD_OUT_SEED
from lab.training.world.levels import CURRICULUM
from lab.training.world.scenes import draw_clip
from tests.browser import opened

SCENE = HELD_OUT_SEED + 8428
"Seed of a scene with a red circle, a blue square and a third object, all moving, without occlusion."
FPS = 20
SCENE_S = 5

FLOOR = 0.5
"Least median IoU of the masks with their object."
FRAMES = 20
SETTLE_S = 120
PATIENCE_MS = 120_000
"Longest waits, on a loaded two-core machine."

# For a number of video frames on the screen, the IoU of the drawn masks with the pixels of a colour.
# Labels and boxes must be hidden.
JUDGE = """([wanted, colour]) => new Promise((resolve) => {
  const video = document.getElementById("video"), overlay = document.getElementById("overlay"), samples = [];
  const [width, height] = [320, 180];
  const context = (from) => {
    const made = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
    made.drawImage(from, 0, 0, width, height);
    return made.getImageData(0, 0, width, height).data;
  };
  const isColour = {
    red: (r, g, b) => r > 110 && g < 0.55 * r && b < 0.55 * r,
    blue: (r, g, b) => b > 110 && r < 0.6 * b && g < 0.75 * b,
  }[colour];
  const measure = () => {
    video.requestVideoFrameCallback(measure);
    setTimeout(() => {
      const [picture, drawn] = [context(video), context(overlay)];
      let [both, either, object, mask] = [0, 0, 0, 0];
      for (let i = 0; i < picture.length; i += 4) {
        const is = isColour(picture[i], picture[i + 1], picture[i + 2]), covered = drawn[i + 3] > 60;
        object += is; mask += covered; both += is && covered; either += is || covered;
      }
      samples.push({ iou: either ? both / either : 0, object, mask, sync: overlay.dataset.sync });
      if (samples.length === wanted) resolve(samples);
    });
  };
  video.requestVideoFrameCallback(measure);
})"""


def there_and_back() -> list[NDArray[np.uint8]]:
    """Return the scene forwards, then backwards: Chromium loops the file, and no object may jump."""
    clip = draw_clip(SCENE, frames=SCENE_S * FPS, size=(360, 640), stride=30 / FPS, level=CURRICULUM[0])
    frames = clip.frames
    return [*frames, *frames[::-1]]


async def judged(page: Page, colour: str) -> float:
    """Return the median IoU of masks with objects of a colour, over the next FRAMES video frames."""
    samples = await page.evaluate(JUDGE, [FRAMES, colour])
    assert np.median([sample["object"] for sample in samples]) > 500, "the object is in the frame"
    return float(np.median([sample["iou"] for sample in samples]))


async def settle(page: Page, colour: str) -> float:
    """Return the median IoU once the masks are on the objects of a colour, or after SETTLE_S."""
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + SETTLE_S
    while (found := await judged(page, colour)) < FLOOR and loop.time() < deadline_s:
        pass  # each call takes the time of its video frames
    return found


async def publish_camera(page: Page, name: str) -> None:
    """Publish the browser's camera as a stream; return when the page plays it."""
    await page.click("#camera-details summary")
    await page.fill("#camera-id", name)
    await page.click("#camera-button")
    await expect(page.locator("#camera-state")).to_have_text("Live: this camera is published.")
    await expect(page.locator("#stage-name")).to_have_text(name)
    await expect(page.locator("#stage")).to_have_attribute("data-video", "playing")


async def ask_by_a_click(page: Page) -> None:
    """Click on the video and ask: nano, which was not trained on regions, refuses in text."""
    await page.locator("#stage").click()
    await expect(page.locator("#query-text")).to_have_value("What is this?")
    await page.locator("#query-add").click()
    asked = page.locator("#queries > li").nth(1)
    await expect(asked.locator("q")).to_contain_text("where you point")
    await page.get_by_label("Remove query What is this?").click()
    await expect(page.locator("#queries > li")).to_have_count(1)


async def take_screenshots(browser: Browser, page: Page, url: str, tmp_path: Path) -> None:
    """Take the README's screenshots, in the folder SACCADE_PICTURES if that is set."""
    folder = Path(os.environ.get("SACCADE_PICTURES", tmp_path))
    await page.screenshot(path=folder / "page.png")
    phone = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "color_scheme": "dark"}
    async with opened(browser, f"{url}&stream=webcam", **phone) as small:
        await expect(small.page.locator("#stage")).to_have_attribute("data-video", "playing")
        await judged(small.page, "blue")
        await small.page.screenshot(path=folder / "phone.png")
        assert small.errors == []
