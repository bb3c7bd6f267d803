"""Fixtures of the page's tests: a browser for each module, a service and a page for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from playwright.async_api import Browser

from actors.redis_server import RedisServer
from tests.browser import Watched, chromium, opened
from tests.doubles import MemoryControl
from tests.page import TOKEN, Service, serving


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as one:
        yield one


@pytest_asyncio.fixture(loop_scope="module")
async def service(redis_server: RedisServer, tmp_path: Path) -> AsyncIterator[Service]:
    async with serving(MemoryControl(max_streams=8), redis_server.url, tmp_path) as one:
        yield one


@pytest_asyncio.fixture(loop_scope="module")
async def watched(browser: Browser, service: Service) -> AsyncIterator[Watched]:
    """The page with its token; a test that leaves errors in its console fails."""
    async with opened(browser, f"{service.url}/#token={TOKEN}") as one:
        service.page = one.page
        yield one
        service.page = None
        assert one.errors == []
