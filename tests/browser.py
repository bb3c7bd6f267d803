"""A real browser for tests: headless Chromium driven by Playwright, on loopback only."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.async_api import Browser, ConsoleMessage, Error, Page, Request, async_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
)

# Both peers use loopback, the only address that every machine has. Chromium would otherwise hide its address
# behind an mDNS name that cannot be resolved here.
_LOOPBACK_FLAGS = (
    "--allow-loopback-in-peer-connection",
    "--disable-features=WebRtcHideLocalIpsWithMdns",
)


@asynccontextmanager
async def chromium(
    fake_camera: Path | None = None, program: Path | None = None, flags: Sequence[str] = _LOOPBACK_FLAGS
) -> AsyncIterator[Browser]:
    """Start a headless browser whose camera plays `fake_camera` (see `write_camera`) or a test pattern.

    `program` is started instead of the installed one.
    """
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed (apt-get install chromium)")
    camera = [f"--use-file-for-fake-video-capture={fake_camera}"] if fake_camera else []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=program or CHROMIUM, args=[*_FLAGS, *flags, *camera]
        )
        try:
            yield browser
        finally:
            await browser.close()


def write_camera(path: Path, frames: Iterable[NDArray[np.uint8]], fps: int = 30) -> Path:
    """Write (H, W, 3) uint8 RGB frames of the same even size as the y4m file that a fake camera loops."""
    with path.open("wb") as file:
        for number, frame in enumerate(frames):
            if number == 0:
                height, width = frame.shape[:2]
                file.write(f"YUV4MPEG2 W{width} H{height} F{fps}:1 Ip A1:1 C420jpeg\n".encode())
            file.write(b"FRAME\n" + cv2.cvtColor(frame, cv2.COLOR_RGB2YUV_I420).tobytes())
    return path


@dataclass
class Watched:
    """A page with its errors and requests."""

    page: Page
    errors: list[str] = field(default_factory=list)
    "Uncaught exceptions and error lines of the console, without those about failed requests."
    requests: list[Request] = field(default_factory=list)

    def on_console(self, message: ConsoleMessage) -> None:
        """Record an error line, except about failed requests, which tests cause on purpose."""
        if message.type == "error" and not message.text.startswith(
            ("Failed to load resource", "WebSocket connection")
        ):
            self.errors.append(message.text)

    def on_request(self, request: Request) -> None:
        """Record a request to any host."""
        self.requests.append(request)

    def on_error(self, error: Error) -> None:
        """Record an uncaught exception."""
        self.errors.append(str(error))


@asynccontextmanager
async def opened(browser: Browser, url: str, **context: Any) -> AsyncIterator[Watched]:
    """Open a page in a new browser context with Playwright's options (`viewport`, `color_scheme`, …)."""
    own = await browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **context})
    page = await own.new_page()
    watched = Watched(page)
    page.on("console", watched.on_console)
    page.on("pageerror", watched.on_error)
    page.on("request", watched.on_request)
    try:
        await _go_to(page, url)
        yield watched
    finally:
        await own.close()


async def _go_to(page: Page, url: str) -> None:
    """Load a page; again where another test made or removed a network meanwhile: Chromium then gives up."""
    for _ in range(5):
        try:
            await page.goto(url)
        except Error as exc:
            if "ERR_NETWORK_CHANGED" not in exc.message:
                raise
        else:
            return
    raise AssertionError(f"{url} could not be loaded while networks changed")


async def module_value(page: Page, module: str, body: str, argument: object = None) -> Any:
    """Run JavaScript in the page and return its value. `body` has the module as `m` and `argument` as `a`."""
    script = f"async (a) => {{ const m = await import('/{module}'); {body} }}"
    return await page.evaluate(script, argument)
