"""Errors of Redis become StoreUnavailable and never show the password."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from actors.redis_server import RedisServer
from streaming.errors import InvalidSettings, StoreUnavailable
from streaming.results.connection import ping
from streaming.results.desired_store import DesiredStore
from streaming.vocabulary import StreamSpec
from tests.redis_entries import GATE


def test_store_unavailable_names_the_address_and_no_password(own_redis: RedisServer) -> None:
    store = DesiredStore(own_redis.url)
    own_redis.stop()
    for call in (store.streams, store.queries, lambda: store.put_stream(StreamSpec(GATE, "whip:"))):
        with pytest.raises(StoreUnavailable, match=r"127\.0\.0\.1:\d+ does not answer") as away:
            call()
        assert away.value.retryable
        assert own_redis.url.get_secret_value().split("@")[0] not in str(away.value)
    with pytest.raises(StoreUnavailable):
        ping(own_redis.url)
    store.close()


def test_a_wrong_password_is_reported(own_redis: RedisServer) -> None:
    wrong = SecretStr(own_redis.url.get_secret_value().replace("redis://:", "redis://:not"))
    with pytest.raises(StoreUnavailable, match="Authentication"):
        ping(wrong)


@pytest.mark.parametrize("url", ["http://secret@x", "redis://:secret@host:port", "nonsense-secret"])
def test_an_invalid_redis_url_is_refused_without_quoting_it(url: str) -> None:
    with pytest.raises(InvalidSettings) as refused:
        DesiredStore(SecretStr(url))
    assert "secret" not in str(refused.value)
    assert refused.value.__cause__ is None
