"""A headless Firefox for tests, driven by WebDriver BiDi (https://w3c.github.io/webdriver-bidi/)."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect

FIREFOX = shutil.which("firefox-esr") or shutil.which("firefox")
START_S = 120
"Longest start, and longest answer, on a loaded two-core machine."

PREFERENCES = {
    "media.navigator.streams.fake": True,  # a camera of changing colours
    "media.navigator.permission.disabled": True,
    "media.autoplay.default": 0,
    "media.gmp-manager.updateEnabled": False,  # codecs from the network
    "app.normandy.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "services.settings.server": "data:,#remote-settings-dummy/v1",
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "remote.active-protocols": 1,  # BiDi only
}


class FirefoxPage:
    """The only page of a browser; see `firefox`."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._numbers = count(1)
        self._context = ""

    async def start(self) -> None:
        """Open the session and find the page."""
        await self._send("session.new", capabilities={})
        tree = await self._send("browsingContext.getTree")
        self._context = tree["contexts"][0]["context"]

    async def open(self, url: str) -> None:
        """Load a page; returns when its `load` event has fired."""
        await self._send("browsingContext.navigate", context=self._context, url=url, wait="complete")

    async def evaluate(self, script: str) -> Any:
        """Return the value of a JavaScript expression as JSON has it; a promise is awaited."""
        expression = f"(async () => JSON.stringify(await ({script})))()"
        target = {"context": self._context}
        found = await self._send("script.evaluate", expression=expression, target=target, awaitPromise=True)
        assert found["type"] == "success", found
        return json.loads(found["result"].get("value", "null"))

    async def until(self, script: str, timeout_s: float = 30.0) -> Any:
        """Evaluate an expression until it is true, and return its value; fail after the timeout."""
        async with asyncio.timeout(timeout_s):
            while not (value := await self.evaluate(script)):
                await asyncio.sleep(0.1)
        return value

    async def _send(self, method: str, **params: object) -> Any:
        number = next(self._numbers)
        await self._connection.send(json.dumps({"id": number, "method": method, "params": params}))
        async with asyncio.timeout(START_S):
            while (message := json.loads(await self._connection.recv())).get("id") != number:
                pass  # events
        assert message["type"] == "success", message
        return message["result"]


@asynccontextmanager
async def firefox(profile: Path, **preferences: bool) -> AsyncIterator[FirefoxPage]:
    """Start Firefox with a new profile in a folder; dots of `preferences` are written as `__`."""
    if FIREFOX is None:
        pytest.skip("Firefox is not installed (apt-get install firefox-esr)")
    own = PREFERENCES | {name.replace("__", "."): value for name, value in preferences.items()}
    lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in own.items()]
    (profile / "user.js").write_text("\n".join(lines))
    options = ["--headless", "--no-remote", "--profile", str(profile), "--remote-debugging-port", "0"]
    process = await asyncio.create_subprocess_exec(
        FIREFOX, *options, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with connect(await _address(profile), max_size=None, proxy=None) as connection:
            page = FirefoxPage(connection)
            await page.start()
            yield page
    finally:
        process.terminate()
        await process.wait()


async def _address(profile: Path) -> str:
    """Return the address that Firefox writes into its profile when it listens."""
    file = profile / "WebDriverBiDiServer.json"
    async with asyncio.timeout(START_S):
        while not (file.exists() and (text := file.read_text())):
            await asyncio.sleep(0.05)
    where = json.loads(text)
    return f"ws://{where['ws_host']}:{where['ws_port']}/session"
