"""Reads `redis_url`: one server, the primary that Sentinels name, or a cluster. Pure.

    redis://[user:password@]host:port/db                      one server; rediss:// with TLS; unix:///path
    redis+sentinel://[user:password@]host:port,…/name/db      Sentinels and the name of their primary
    redis+cluster://[user:password@]host:port,…               some nodes of a cluster

Options follow `?`: those of redis-py, such as `ssl_ca_certs=/path/ca.pem` for rediss://, rediss+sentinel://
and rediss+cluster://; `sentinel_username` and `sentinel_password` where Sentinels have their own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

from pydantic import SecretStr
from redis.asyncio.connection import parse_url

from streaming.errors import InvalidSettings

_PORTS: Final = {"server": 6379, "sentinel": 26379, "cluster": 6379}


@dataclass(frozen=True, slots=True)
class Target:
    """What `redis_url` names."""

    kind: str
    "`server`, `sentinel` or `cluster`."
    nodes: tuple[tuple[str, int], ...]
    "Host and port of the server, of Sentinels, or of nodes of the cluster. Empty for a Unix socket."
    url: str
    "With the password, of the first node."
    options: dict[str, Any]
    "Arguments of redis-py's clients besides the address, with the password."
    service: str = ""
    "Sentinel's name of the primary."

    @property
    def address(self) -> str:
        """Without a password, for messages: `host:port`, several with commas, or the path of a socket."""
        return ",".join(f"{host}:{port}" for host, port in self.nodes) or urlsplit(self.url).path


def parse_redis_url(redis_url: SecretStr) -> Target:
    """Parse a URL. Raises InvalidSettings, which does not quote it."""
    # Replies have other shapes in RESP3, and RESP2 is read here.
    url = re.sub(r"(?<=[?&])protocol=\d+&?", "", redis_url.get_secret_value())
    try:
        target = _parsed(url)
    except ValueError:
        # Not chained: the message may quote the password where the URL is malformed.
        raise InvalidSettings(
            "redis_url is not a Redis URL.",
            remedy="Write redis://[user:password@]host:port/0. Percent-encode the password, or set "
            "redis_password to it as it is.",
        ) from None
    authority = target.options.get("ssl_ca_certs")
    if authority is not None and not Path(authority).is_file():
        raise InvalidSettings(f"redis_url: there is no file {authority}.", remedy="Check ssl_ca_certs.")
    return target


def with_password(redis_url: SecretStr, password: SecretStr | None) -> SecretStr:
    """Return the URL with this password, which may have any characters; as it is without one."""
    if password is None or not password.get_secret_value():
        return redis_url
    split = urlsplit(redis_url.get_secret_value())
    user, _, hosts = split.netloc.rpartition("@")
    credentials = f"{user.partition(':')[0]}:{quote(password.get_secret_value(), safe='')}"
    return SecretStr(split._replace(netloc=f"{credentials}@{hosts}").geturl())


def as_cluster(redis_url: SecretStr) -> SecretStr:
    """Return the URL of a server as that of the cluster to which it belongs."""
    return SecretStr(re.sub(r"^(rediss?)://", r"\1+cluster://", redis_url.get_secret_value()))


def _parsed(url: str) -> Target:
    split = urlsplit(url)
    scheme, _, name = split.scheme.partition("+")
    kind, path, service = name or "server", split.path, ""
    # A raw #, / or ? in the password ends the host there: the rest would be taken for something else.
    if kind not in _PORTS or (scheme != "unix" and "@" in split.path + split.query + split.fragment):
        raise ValueError
    if kind == "sentinel":
        service, _, path = path.strip("/").partition("/")
        if not service:
            raise ValueError
    credentials, at, hosts = split.netloc.rpartition("@")
    several = [urlsplit(f"//{host}") for host in hosts.split(",")]
    nodes = tuple((each.hostname or "localhost", each.port or _PORTS[kind]) for each in several)
    first = f"{credentials}{at}{hosts.split(',')[0]}"
    url = split._replace(scheme=scheme, netloc=first, path=path).geturl()
    options: dict[str, Any] = {"ssl": scheme == "rediss", **parse_url(url)}
    for name in ("host", "port", "connection_class", *(["db"] if kind == "cluster" else [])):
        options.pop(name, None)
    return Target(kind, () if scheme == "unix" else nodes, url, options, service)
