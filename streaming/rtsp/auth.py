"""Who we are to an RTSP server: digest (RFC 7616, RFC 2617) and basic authentication. Pure."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Callable, Mapping, Sequence
from urllib.request import parse_http_list

_HASHES: Mapping[str, Callable[[bytes], str]] = {
    "MD5": lambda data: hashlib.md5(data, usedforsecurity=False).hexdigest(),
    "SHA-256": lambda data: hashlib.sha256(data).hexdigest(),
}
"Digest algorithms, the ones that cameras use."


class Authenticator:
    """Answers a server's challenge with a user and a password; digest before basic, which gives both away."""

    def __init__(self, user: str, password: str) -> None:
        self._user = user
        self._password = password
        self._digest: dict[str, str] | None = None
        self._basic = False
        self._count = 0

    def learn(self, challenges: Sequence[str]) -> bool:
        """Take in the `WWW-Authenticate` headers of a 401; whether there is an answer to them."""
        if not self._user:
            return False
        kinds = [(kind.lower(), rest) for kind, _, rest in (each.partition(" ") for each in challenges)]
        digests = [_fields(rest) for kind, rest in kinds if kind == "digest"]
        self._digest = next((each for each in digests if _answerable(each)), None)
        self._basic = any(kind == "basic" for kind, _ in kinds)
        self._count = 0
        return self._digest is not None or self._basic

    def header(self, method: str, url: str) -> str | None:
        """The `Authorization` header of a request; None before anything was asked for."""
        if self._digest is not None:
            return self._digest_header(self._digest, method, url)
        if self._basic:
            return "Basic " + base64.b64encode(f"{self._user}:{self._password}".encode()).decode()
        return None

    def _digest_header(self, challenge: Mapping[str, str], method: str, url: str) -> str:
        hash_of = _HASHES[_algorithm(challenge)]

        def hashed(*parts: str) -> str:
            return hash_of(":".join(parts).encode())

        realm, nonce = challenge["realm"], challenge["nonce"]
        secret, what = hashed(self._user, realm, self._password), hashed(method, url)
        fields = {"username": self._user, "realm": realm, "nonce": nonce, "uri": url}
        bare = {"algorithm": _algorithm(challenge)} if "algorithm" in challenge else {}
        if "qop" in challenge:
            self._count += 1
            count, own = f"{self._count:08x}", secrets.token_hex(8)
            fields |= {"cnonce": own, "response": hashed(secret, nonce, count, own, "auth", what)}
            bare |= {"qop": "auth", "nc": count}
        else:
            fields["response"] = hashed(secret, nonce, what)
        if "opaque" in challenge:
            fields["opaque"] = challenge["opaque"]
        quoted = [f'{name}="{_escaped(value)}"' for name, value in fields.items()]
        return "Digest " + ", ".join([*quoted, *(f"{name}={value}" for name, value in bare.items())])


def _fields(challenge: str) -> dict[str, str]:
    pairs = (each.partition("=") for each in parse_http_list(challenge))
    return {name.strip().lower(): _unquoted(value.strip()) for name, _, value in pairs}


def _unquoted(value: str) -> str:
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')


def _algorithm(challenge: Mapping[str, str]) -> str:
    return challenge.get("algorithm", "MD5").upper()


def _answerable(challenge: Mapping[str, str]) -> bool:
    offered = [each.strip() for each in challenge.get("qop", "auth").split(",")]
    return {"realm", "nonce"} <= challenge.keys() and _algorithm(challenge) in _HASHES and "auth" in offered
