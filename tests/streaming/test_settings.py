"""Settings have one order of precedence, and errors name the setting."""

from __future__ import annotations

from pathlib import Path

import pytest

from streaming.errors import InvalidSettings
from streaming.settings import Settings, load_settings


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_without_a_file_the_defaults_hold() -> None:
    settings = load_settings()
    assert (settings.host, settings.port, settings.redis_url) == ("127.0.0.1", 8400, None)


def test_the_environment_overrides_the_file_and_arguments_override_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "other.toml"
    config.write_text('port = 1001\nhost = "localhost"\nallowed_hosts = ["10.0.0.0/8"]\nmax_streams = 3\n')
    monkeypatch.setenv("SACCADE_PORT", "1002")
    monkeypatch.setenv("SACCADE_MAX_STREAMS", "4")
    settings = load_settings(config, max_streams=5)
    assert (settings.host, settings.port, settings.max_streams) == ("localhost", 1002, 5)
    assert settings.allowed_hosts == ["10.0.0.0/8"]


def test_saccade_toml_beside_us_is_read(tmp_path: Path) -> None:
    (tmp_path / "saccade.toml").write_text("port = 1003\n")
    assert load_settings().port == 1003


def test_a_file_read_once_does_not_linger(tmp_path: Path) -> None:
    config = tmp_path / "other.toml"
    config.write_text("port = 1004\n")
    assert load_settings(config).port == 1004
    assert load_settings().port == 8400


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("port = 70000", "Setting port"),
        ("prot = 1", "Setting prot"),
        ("port = ", "is not TOML"),
        ('backend = "abacus"', "Setting backend"),
        ("source_timeout_s = 0", "Setting source_timeout_s"),
    ],
)
def test_a_wrong_file_is_refused_with_the_name_of_the_setting(tmp_path: Path, text: str, fault: str) -> None:
    config = tmp_path / "wrong.toml"
    config.write_text(text)
    with pytest.raises(InvalidSettings, match=fault):
        load_settings(config)


def test_a_file_that_was_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match="No settings file"):
        load_settings(tmp_path / "missing.toml")


def test_secrets_are_never_printed() -> None:
    settings = Settings(api_token="open-sesame-open", redis_url="redis://:open-sesame@x")  # type: ignore[arg-type]
    assert "open-sesame" not in repr(settings) + str(settings) + settings.model_dump_json()


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().port = 1  # type: ignore[misc]
