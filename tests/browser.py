"""A real browser for tests: headless Chromium driven by Playwright, on loopback only."""

from __future__ import annotations

import shutil
import socket
from collections.abc import AsyncIterator, Iterable
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
    # Both peers are on this machine, where the loopback address is the only one that is surely there; and
    # without it Chromium would hide its address behind an mDNS name that nobody here resolves.
    "--allow-loopback-in-peer-connection",
    "--disable-features=WebRtcHideLocalIpsWithMdns",
)


@asynccontextmanager
async def chromium(fake_camera: Path | None = None) -> AsyncIterator[Browser]:
    """A browser whose camera is a file (`write_camera`), or Chromium's own test picture."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed (apt-get install chromium)")
    flags = [*_FLAGS, f"--use-file-for-fake-video-capture={fake_camera}"] if fake_camera else [*_FLAGS]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        try:
            yield browser
        finally:
            await browser.close()


def write_camera(path: Path, frames: Iterable[NDArray[np.uint8]], fps: int = 30) -> Path:
    """RGB frames (H, W, 3) of one even size as the y4m file that a fake camera plays in a loop."""
    with path.open("wb") as file:
        for number, frame in enumerate(frames):
            if number == 0:
                height, width = frame.shape[:2]
                file.write(f"YUV4MPEG2 W{width} H{height} F{fps}:1 Ip A1:1 C420jpeg\n".encode())
            file.write(b"FRAME\n" + cv2.cvtColor(frame, cv2.COLOR_RGB2YUV_I420).tobytes())
    return path


@dataclass
class Watched:
    """A page, and what went wrong in it."""

    page: Page
    errors: list[str] = field(default_factory=list)
    "Uncaught errors and error lines of the console, refused requests not included."
    requests: list[Request] = field(default_factory=list)

    def on_console(self, message: ConsoleMessage) -> None:
        """Failed requests are in `requests`; Chromium's own line about each is no error of ours."""
        if message.type == "error" and not message.text.startswith(
            ("Failed to load resource", "WebSocket connection")
        ):
            self.errors.append(message.text)

    def on_request(self, request: Request) -> None:
        """What the page asked for, of anybody."""
        self.requests.append(request)

    def on_error(self, error: Error) -> None:
        """Nobody caught it."""
        self.errors.append(str(error))


@asynccontextmanager
async def opened(browser: Browser, url: str, **context: Any) -> AsyncIterator[Watched]:
    """A page in a context of its own (`viewport`, `color_scheme`, … as in Playwright)."""
    own = await browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **context})
    page = await own.new_page()
    watched = Watched(page)
    page.on("console", watched.on_console)
    page.on("pageerror", watched.on_error)
    page.on("request", watched.on_request)
    try:
        await page.goto(url)
        yield watched
    finally:
        await own.close()


async def module_value(page: Page, module: str, body: str, argument: object = None) -> Any:
    """What JavaScript over one of the page's modules returns: `body` sees it as `m`, `argument` as `a`."""
    script = f"async (a) => {{ const m = await import('/{module}'); {body} }}"
    return await page.evaluate(script, argument)


def free_port() -> int:
    """A port of 127.0.0.1 that was free a moment ago, for a process that has to be told one."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
