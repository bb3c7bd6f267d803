"""The bearer token is generated once, stored privately, and compared whole."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from pydantic import SecretStr

from dashboards.auth import find_token, is_token, load_token
from streaming.errors import InvalidSettings
from streaming.settings import Settings


def test_a_token_is_made_once_and_kept_for_its_owner(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path / "state")
    assert find_token(settings) is None
    made = load_token(settings)
    assert len(made.get_secret_value()) >= 40
    assert load_token(settings) == find_token(settings) == made
    assert stat.S_IMODE((tmp_path / "state" / "token").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700


def test_two_services_have_two_tokens(tmp_path: Path) -> None:
    one, other = (load_token(Settings(state_dir=tmp_path / name)) for name in ("one", "other"))
    assert one != other


def test_a_token_from_the_settings_is_used_and_not_stored(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path, api_token=SecretStr("given-by-the-settings"))
    assert load_token(settings).get_secret_value() == "given-by-the-settings"
    assert list(tmp_path.iterdir()) == []


def test_a_token_others_could_read_is_closed_to_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings(state_dir=tmp_path)
    made = load_token(settings)
    (tmp_path / "token").chmod(0o644)
    assert find_token(settings) == made
    assert stat.S_IMODE((tmp_path / "token").stat().st_mode) == 0o600
    assert "readable by others" in caplog.text


@pytest.mark.parametrize("token", ["", "short", "with space and more", "x" * 600, "grüße-an-alle-freunde"])
def test_a_token_that_cannot_be_sent_is_refused_and_not_repeated(tmp_path: Path, token: str) -> None:
    with pytest.raises(InvalidSettings, match="api_token cannot be used") as refused:
        load_token(Settings(state_dir=tmp_path, api_token=SecretStr(token)))
    assert not token or token not in str(refused.value)
    (tmp_path / "token").write_text(token)
    (tmp_path / "token").chmod(0o600)
    with pytest.raises(InvalidSettings):
        load_token(Settings(state_dir=tmp_path))


def test_only_the_complete_token_is_accepted() -> None:
    token = SecretStr("the-whole-token-it-is")
    assert is_token("the-whole-token-it-is", token)
    for wrong in ("", "the-whole-token-it-i", "the-whole-token-it-is ", "THE-WHOLE-TOKEN-IT-IS"):
        assert not is_token(wrong, token)
