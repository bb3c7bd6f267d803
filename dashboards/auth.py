"""The bearer token: from the settings, or generated once and stored in `state_dir` with mode 0600."""

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
# A browser can send a WebSocket's token only as a subprotocol, whose characters RFC 6455 §4.1 limits.
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~-]{16,512}")


def find_token(settings: Settings) -> SecretStr | None:
    """Return the token of the service with these settings; None if there is none yet. Raises
    InvalidSettings."""
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
    """Return the token to serve with; generate and store it if there is none. Raises InvalidSettings."""
    if (token := find_token(settings)) is not None:
        return token
    settings.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = settings.state_dir / TOKEN_FILE
    generated = secrets.token_urlsafe(32)
    _create_private(path, generated + "\n")
    return SecretStr(generated)


def is_token(candidate: str, token: SecretStr) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(candidate.encode(), token.get_secret_value().encode())


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
