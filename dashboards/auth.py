"""The bearer token: given by the settings, or made once and kept in `state_dir` for its owner alone."""

from __future__ import annotations

import hmac
import logging
import os
import re
import secrets
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from streaming.errors import InvalidSettings
from streaming.settings import Settings

log = logging.getLogger(__name__)

TOKEN_FILE: Final = "token"  # noqa: S105 - the name of a file
# A browser can send the token of a WebSocket only as a subprotocol, whose characters RFC 6455 limits.
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~-]{16,512}")


def find_token(settings: Settings) -> SecretStr | None:
    """The token of the service that runs with these settings, if there is one. Raises InvalidSettings."""
    if settings.api_token is not None:
        return _checked(settings.api_token.get_secret_value(), "api_token")
    path = settings.state_dir / TOKEN_FILE
    if not path.is_file():
        return None
    if path.stat().st_mode & 0o077:
        log.warning("%s was readable by others; it is not any more. Remove it to get a new token.", path)
        path.chmod(0o600)
    return _checked(path.read_text().strip(), str(path))


def load_token(settings: Settings) -> SecretStr:
    """The token to serve with, made and kept if there is none yet. Raises InvalidSettings."""
    if (token := find_token(settings)) is not None:
        return token
    settings.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = settings.state_dir / TOKEN_FILE
    made = secrets.token_urlsafe(32)
    _create_private(path, made + "\n")
    return SecretStr(made)


def is_token(given: str, token: SecretStr) -> bool:
    """Whether it is the one; takes as long wherever the first difference is."""
    return hmac.compare_digest(given.encode(), token.get_secret_value().encode())


def _checked(token: str, place: str) -> SecretStr:
    if not _TOKEN.fullmatch(token):
        raise InvalidSettings(
            f"The token in {place} cannot be used.",
            remedy="Use 16 to 512 letters, digits, dots, dashes, underscores or tildes.",
        )
    return SecretStr(token)


def _create_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
