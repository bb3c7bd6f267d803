"""Makes docs/settings.md from `streaming.settings`. Run it with `python -m tests.settings_table`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from streaming.settings import Settings

PAGE = Path(__file__).parents[1] / "docs" / "settings.md"
_HEAD = """# Settings

Written in `saccade.toml` (or the file of `--config`), overridden by the environment. Made from
`streaming/settings.py` by `python -m tests.settings_table`; a test keeps the two the same.

| setting | default | environment | what it is |
|---|---|---|---|
"""


def render() -> str:
    """The whole page."""
    rows = [_row(name, field) for name, field in Settings.model_fields.items()]
    return _HEAD + "\n".join(rows) + "\n"


def _row(name: str, field: FieldInfo) -> str:
    cells = [f"`{name}`", _shown(field.default), f"`SACCADE_{name.upper()}`", field.description or ""]
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _shown(default: Any) -> str:
    if default is None:
        return "none"
    if isinstance(default, SecretStr):
        return "secret"
    value = str(default) if isinstance(default, Path) else default
    return f"`{json.dumps(value)}`"


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(render())
