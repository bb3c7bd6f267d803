"""A service bound to another address, watched by a browser on another machine: directly, and behind proxies.

The machines are network namespaces. The proxies run the examples of docs/proxies.md where they are installed.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Page, expect

from actors.redis_server import RedisServer
from lab.fixtures.ports import free_port
from streaming.settings import Settings
from tests.browser import chromium, opened
from tests.doubles import MemoryControl
from tests.networks import Network, two_networks
from tests.page import TOKEN, serving
from tests.proxies import PROXIES, caddy, nginx, running, running_proxy
from tests.served import is_problem

pytestmark = pytest.mark.slow

PIXEL = """() => {
  const video = document.getElementById("video"), context = new OffscreenCanvas(320, 192).getContext("2d");
  context.drawImage(video, 0, 0, 320, 192);
  return [...context.getImageData(110, 80, 1, 1).data];
}"""


@asynccontextmanager
async def service_in(network: Network, folder: Path, **settings: object) -> AsyncIterator[str]:
    """Run `tests.video_service` in a network; yields the URL of its gateway."""
    command = [*network.prefix, sys.executable, "-m", "tests.video_service", folder, json.dumps(settings)]
    process = await asyncio.create_subprocess_exec(
        *command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[1]
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        yield (await process.stdout.readline()).decode().strip()
    finally:
        process.stdin.close()
        await process.wait()


async def is_red(page: Page) -> bool:
    red, green, blue, _ = await page.evaluate(PIXEL)
    return red > 180 and green < 80 and blue < 80


async def watch(page_url: str, viewer: Network, folder: Path) -> None:
    """Open the page in a browser in the viewer's network, and see the picture."""
    program = viewer.wrapper(str(shutil.which("chromium")), folder / "chromium")
    names = "--host-resolver-rules=MAP cam.example 10.77.0.1"
    async with (
        chromium(program=program, flags=(names,)) as browser,
        opened(browser, f"{page_url}#token={TOKEN}&stream=red", ignore_https_errors=True) as watched,
    ):
        stage = watched.page.locator("#stage")
        await expect(stage).to_have_attribute("data-video", "playing", timeout=30_000)
        assert await is_red(watched.page)
        await expect(watched.page.locator("#service")).to_have_text("connected")
        # Without TLS the browser says that it ignores a header of ours.
        assert [
            error for error in watched.errors if "Opener-Policy header has been ignored" not in error
        ] == []


async def test_a_service_at_another_address_is_watched_from_another_machine(tmp_path: Path) -> None:
    with two_networks() as (here, there):
        async with service_in(here, tmp_path, host=here.address, port=0) as url:
            assert url.startswith(f"http://{here.address}:")
            await watch(f"{url}/", there, tmp_path)


@pytest.mark.parametrize("proxy", PROXIES)
async def test_through_a_proxy_nothing_is_read_without_the_token(
    redis_server: RedisServer, tmp_path: Path, proxy: str
) -> None:
    settings = Settings(port=0, server_names=["cam.example"], root_path="/saccade")
    port = free_port()
    async with serving(MemoryControl(), redis_server.url, tmp_path, settings) as service:
        with running_proxy(proxy, service.url, tmp_path, port=port):
            await service.live_stream("seen")
            there = {"base_url": f"https://127.0.0.1:{port}/saccade/", "verify": False}
            named = {"headers": {"Host": "cam.example"}, "extensions": {"sni_hostname": "cam.example"}}
            async with httpx.AsyncClient(**there) as http:
                assert "<title>Saccade" in (await http.get("", **named)).text
                assert is_problem(await http.get("v1/streams", **named), 401, "unauthorised")
                named["headers"] |= {"Authorization": f"Bearer {TOKEN}"}
                assert len((await http.get("v1/streams", **named)).json()) == 1
                added = {"stream_id": "more", "url": "whip:"}
                more = await http.post("v1/streams", json=added, **named)
                assert more.headers["location"] == "/saccade/v1/streams/more"


@pytest.mark.parametrize("proxy", ["nginx", "caddy"])
async def test_a_proxy_that_nobody_configured_is_not_a_way_in(
    redis_server: RedisServer, tmp_path: Path, proxy: str
) -> None:
    """One line that forwards to us, with our address as Host, at a service with default settings."""
    if proxy not in PROXIES:
        pytest.skip(f"{proxy} is not installed (apt-get install {proxy})")
    port = free_port()
    async with serving(MemoryControl(), redis_server.url, tmp_path) as service:
        listen = f"listen 127.0.0.1:{port}"
        upstream = f"reverse_proxy {service.url} {{\nheader_up Host {{upstream_hostport}}\n}}"
        commands = {
            "nginx": nginx(f"server {{ {listen}; location / {{ proxy_pass {service.url}; }} }}", tmp_path),
            "caddy": caddy(f"http://127.0.0.1:{port} {{\n{upstream}\n}}\n", tmp_path),
        }
        with running(commands[proxy], tmp_path, "127.0.0.1", port):
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
                assert is_problem(await http.get("/v1/streams"), 401, "unauthorised")
                assert (await http.get("/")).status_code == 200


@pytest.mark.parametrize("proxy", PROXIES)
async def test_behind_a_proxy_with_tls_below_a_path_it_is_watched_too(tmp_path: Path, proxy: str) -> None:
    # The plain proxy cannot remove a path.
    settings = {"server_names": ["cam.example"], "ice_udp_ports": [50_000, 50_003]}
    settings |= {"root_path": "/saccade"} if proxy == "plain" else {}
    with two_networks() as (here, there):
        async with service_in(here, tmp_path, port=0, **settings) as url:
            with running_proxy(proxy, url, tmp_path, at=here.address, prefix=here.prefix):
                await watch("https://cam.example/saccade/", there, tmp_path)
