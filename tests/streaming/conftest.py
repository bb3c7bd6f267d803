from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.peers import Peer


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    peer = Peer()
    yield peer
    await peer.connection.close()


@pytest.fixture
async def other_peer() -> AsyncIterator[Peer]:
    peer = Peer()
    yield peer
    await peer.connection.close()
