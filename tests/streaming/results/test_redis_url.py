"""What `redis_url` may name."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from streaming.errors import InvalidSettings
from streaming.results.redis_url import as_cluster, parse_redis_url, with_password


@pytest.mark.parametrize(
    ("url", "kind", "address"),
    [
        ("redis://h", "server", "h:6379"),
        ("redis://u:p@h:1/3", "server", "h:1"),
        ("rediss://:p@[::1]:7/0", "server", "::1:7"),
        ("unix:///run/redis.sock", "server", "/run/redis.sock"),
        ("redis+sentinel://u:p@a,b:2/main/1", "sentinel", "a:26379,b:2"),
        ("redis+cluster://a:1,b:2", "cluster", "a:1,b:2"),
    ],
)
def test_the_kind_and_the_address_of_a_url(url: str, kind: str, address: str) -> None:
    target = parse_redis_url(SecretStr(url))
    assert (target.kind, target.address) == (kind, address)


def test_credentials_database_name_and_options_are_read() -> None:
    target = parse_redis_url(SecretStr("rediss+sentinel://u:p%40@a/main/2?sentinel_password=s%2F"))
    assert target.service == "main"
    assert target.options == {
        "username": "u", "password": "p@", "db": 2, "ssl": True, "sentinel_password": "s/"
    }  # fmt: skip


@pytest.mark.parametrize(
    "url",
    [
        "http://secret@x",
        "redis://:secret@host:port",
        "nonsense-secret",
        "redis://:12#secret@host",
        "redis://:12/secret@host",
        "redis://:12?secret@host",
        "redis+sentinel://:secret@host",
        "redis+unknown://:secret@host",
    ],
)
def test_an_invalid_redis_url_is_refused_without_quoting_it(url: str) -> None:
    with pytest.raises(InvalidSettings) as refused:
        parse_redis_url(SecretStr(url))
    assert "secret" not in str(refused.value)
    assert "redis_password" in refused.value.remedy
    assert refused.value.__cause__ is None


def test_an_authority_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match=r"there is no file .*ca\.pem"):
        parse_redis_url(SecretStr(f"rediss://h?ssl_ca_certs={tmp_path}/ca.pem"))


@pytest.mark.parametrize("password", ["plain", "p@ss/w?rd#1:%", "ü 🔑", "\\\"'$"])
@pytest.mark.parametrize("url", ["redis://h:1/0", "redis://user@h:1/0", "redis://user:old@h:1/0"])
def test_a_password_beside_the_url_is_put_into_it(url: str, password: str) -> None:
    target = parse_redis_url(with_password(SecretStr(url), SecretStr(password)))
    assert target.options["password"] == password
    assert target.options.get("username") == ("user" if "user" in url else None)
    assert target.address == "h:1"


@pytest.mark.parametrize("none", [None, SecretStr("")])
def test_without_a_password_the_url_stays(none: SecretStr | None) -> None:
    assert with_password(SecretStr("redis://:p@h"), none).get_secret_value() == "redis://:p@h"


def test_the_url_of_a_node_becomes_that_of_its_cluster() -> None:
    url = as_cluster(SecretStr("rediss://u:p@h:1/0?ssl_ca_certs=x"))
    assert url.get_secret_value() == "rediss+cluster://u:p@h:1/0?ssl_ca_certs=x"
