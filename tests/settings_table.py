"""Writes docs/settings.md and saccade.toml.example from `streaming.settings`.

Run `python -m tests.settings_table`. A test in tests/test_vocabulary.py fails when either is out of date.
"""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from streaming.settings import Settings

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "settings.md"
EXAMPLE = ROOT / "saccade.toml.example"

_PAGE_HEAD = """# Settings

Settings are read from `saccade.toml`, or the file named by `--config`, and overridden by environment
variables. Lists in the environment are JSON. [saccade.toml.example](../saccade.toml.example) has every
setting with its default. Both files are written from `streaming/settings.py` by
`python -m tests.settings_table`.

| setting | default | environment | meaning |
|---|---|---|---|
"""
_EXAMPLE_HEAD = """\
# Every setting of Saccade with its default. Copy this file to saccade.toml and remove the `#` before the
# settings that you change. If it holds a token or a password, make it readable by your user only.
# An environment variable SACCADE_<NAME> overrides a setting.
# Written from streaming/settings.py by `python -m tests.settings_table`.
"""
_SECRET_EXAMPLES = {
    "api_token": '"16 or more characters"',
    "redis_url": '"redis://:password@127.0.0.1:6379/0"',
    "redis_password": '"any #/?@ characters"',
}
_UNSET_EXAMPLES = {
    "tracker_px": "512",
    "ice_udp_ports": "[50000, 50031]",
    "ray_address": '"ray-head:6379"',
    **_SECRET_EXAMPLES,
}
"TOML values to show for settings whose default is none."


def render() -> str:
    """Return docs/settings.md: a table with one row for each setting."""
    rows = [_row(name, field) for name, field in Settings.model_fields.items()]
    return _PAGE_HEAD + "\n".join(rows) + "\n"


def render_example() -> str:
    """Return saccade.toml.example: each setting commented out, below its description."""
    return _EXAMPLE_HEAD + "".join(_entry(name, field) for name, field in Settings.model_fields.items())


def _row(name: str, field: FieldInfo) -> str:
    cells = [f"`{name}`", _default_cell(field.default), f"`SACCADE_{name.upper()}`", _meaning(field)]
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _meaning(field: FieldInfo) -> str:
    """Return the description of a setting, and all its values if they are a `Literal`."""
    if get_origin(field.annotation) is not Literal:
        return field.description or ""
    return f"{field.description} One of {', '.join(f'`{value}`' for value in get_args(field.annotation))}."


def _default_cell(default: Any) -> str:
    if default is None:
        return "none"
    if isinstance(default, SecretStr):
        return "secret"
    return f"`{_literal(default)}`"


def _entry(name: str, field: FieldInfo) -> str:
    description = textwrap.fill(
        " ".join(_meaning(field).split()), 108, initial_indent="# ", subsequent_indent="# "
    )
    if field.default is None:
        return f"\n{description}\n# Not set by default.\n#{name} = {_UNSET_EXAMPLES[name]}\n"
    return f"\n{description}\n#{name} = {_literal(field.default)}\n"


def _literal(value: Any) -> str:
    """Return a value as JSON, which is TOML too for strings, numbers and lists of strings."""
    return json.dumps(str(value) if isinstance(value, Path) else value)


if __name__ == "__main__":
    PAGE.write_text(render())
    EXAMPLE.write_text(render_example())
