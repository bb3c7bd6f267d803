"""Digest (RFC 7616, RFC 2617) and basic authentication to an RTSP server. Pure."""

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
"Digest algorithms that cameras use."


class Authenticator:
    """Answers a server's challenges with a user and a password. Prefers digest: basic sends both readable."""

    def __init__(self, user: str, password: str) -> None:
        self._user = user
        self._password = password
        self._digest: dict[str, str] | None = None
        self._basic = False
        self._count = 0

    def set_challenges(self, challenges: Sequence[str]) -> bool:
        """Take the `WWW-Authenticate` headers of a 401. True if one of them can be answered."""
        if not self._user:
            return False
        schemes = [(scheme.lower(), rest) for scheme, _, rest in (each.partition(" ") for each in challenges)]
        digests = [_fields(rest) for scheme, rest in schemes if scheme == "digest"]
        self._digest = next((each for each in digests if _answerable(each)), None)
        self._basic = any(scheme == "basic" for scheme, _ in schemes)
        self._count = 0
        return self._digest is not None or self._basic

    def header(self, method: str, url: str) -> str | None:
        """Return the `Authorization` header of a request; None before a challenge."""
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
        ha1, ha2 = hashed(self._user, realm, self._password), hashed(method, url)
        fields = {"username": self._user, "realm": realm, "nonce": nonce, "uri": url}
        unquoted = {"algorithm": _algorithm(challenge)} if "algorithm" in challenge else {}
        if "qop" in challenge:
            self._count += 1
            nc, cnonce = f"{self._count:08x}", secrets.token_hex(8)
            fields |= {"cnonce": cnonce, "response": hashed(ha1, nonce, nc, cnonce, "auth", ha2)}
            unquoted |= {"qop": "auth", "nc": nc}
        else:
            fields["response"] = hashed(ha1, nonce, ha2)
        if "opaque" in challenge:
            fields["opaque"] = challenge["opaque"]
        quoted = [f'{name}="{_escaped(value)}"' for name, value in fields.items()]
        return "Digest " + ", ".join([*quoted, *(f"{name}={value}" for name, value in unquoted.items())])


def _fields(challenge: str) -> dict[str, str]:
    pairs = (each.partition("=") for each in parse_http_list(challenge))
    return {name.strip().lower(): _strip_quotes(value.strip()) for name, _, value in pairs}


def _strip_quotes(value: str) -> str:
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')


def _algorithm(challenge: Mapping[str, str]) -> str:
    return challenge.get("algorithm", "MD5").upper()


def _answerable(challenge: Mapping[str, str]) -> bool:
    offered = [each.strip() for each in challenge.get("qop", "auth").split(",")]
    return {"realm", "nonce"} <= challenge.keys() and _algorithm(challenge) in _HASHES and "auth" in offered
