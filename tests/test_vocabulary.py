"""Shared types and settings are documented: arrays by shape and dtype, settings by a sentence and a table."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from dataclasses import is_dataclass
from pathlib import Path
from typing import get_args

import pytest

from streaming import events, status, vocabulary
from streaming.settings import Settings, load_settings
from tests import settings_table

SOURCE = Path(vocabulary.__file__)
TREE = ast.parse(SOURCE.read_text())
SHAPE_AND_DTYPE = re.compile(r"\([A-Za-z0-9, ]+\).*(uint8|bool|float32)")


def documented(body: list[ast.stmt]) -> dict[str, tuple[str, str]]:
    """Map each annotated field or alias to its type as written and the string literal that follows it."""
    found = {}
    for statement, after in zip(body, [*body[1:], None], strict=True):
        text = after.value.value if _is_string(after) else ""
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            found[statement.target.id] = (ast.unparse(statement.annotation), text)
        elif isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            found[statement.targets[0].id] = (ast.unparse(statement.value), text)
    return found


def _is_string(statement: ast.stmt | None) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


ALIASES = documented(TREE.body)
ARRAYS = {name: text for name, (kind, text) in ALIASES.items() if "NDArray" in kind}
FIELDS = [
    (f"{node.name}.{name}", kind, text)
    for node in TREE.body
    if isinstance(node, ast.ClassDef)
    for name, (kind, text) in documented(node.body).items()
]


def test_the_array_aliases_and_fields_are_found() -> None:
    assert {"Pixels", "Mask", "Logits"} <= set(ARRAYS)
    assert {name for name, kind, _ in FIELDS if _array_in(kind)} >= {
        "Frame.pixels",
        "SegPrompt.embedding",
        "Answer.logits",
    }


def _array_in(kind: str) -> str | None:
    return next((name for name in ["NDArray", *ARRAYS] if re.search(rf"\b{name}\b", kind)), None)


@pytest.mark.parametrize("name", ARRAYS)
def test_every_array_alias_states_shape_and_dtype(name: str) -> None:
    assert SHAPE_AND_DTYPE.search(ARRAYS[name]), f"{name} needs a docstring with its shape, dtype and range"


@pytest.mark.parametrize(("name", "kind", "text"), FIELDS)
def test_every_array_field_states_shape_and_dtype(name: str, kind: str, text: str) -> None:
    array = _array_in(kind)
    if array is not None:
        documentation = text + ARRAYS.get(array, "")
        assert SHAPE_AND_DTYPE.search(documentation), f"{name} needs a docstring with its shape and dtype"


@pytest.mark.parametrize("module", [vocabulary, events, status], ids=lambda module: module.__name__)
def test_shared_dataclasses_are_frozen_slotted_and_documented(module: object) -> None:
    types = [
        value
        for value in vars(module).values()
        if is_dataclass(value) and getattr(value, "__module__", "") == getattr(module, "__name__", "")
    ]
    assert types
    for kind in types:
        assert kind.__dataclass_params__.frozen, kind  # type: ignore[union-attr]
        assert "__slots__" in vars(kind), kind
        assert kind.__doc__ and not kind.__doc__.startswith(f"{kind.__name__}("), kind  # type: ignore[union-attr]


def test_dataclasses_with_arrays_have_no_generated_equality() -> None:
    """The equality of arrays is an array, so a generated `__eq__` would raise."""
    with_arrays = {name.split(".")[0] for name, kind, _ in FIELDS if _array_in(kind)}
    assert with_arrays
    for name in with_arrays:
        kind = getattr(vocabulary, name)
        assert kind.__eq__ is object.__eq__, f"{name} has an array: eq=False"


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_has_a_sentence(name: str) -> None:
    description = Settings.model_fields[name].description
    assert description, f"{name} needs a docstring"
    assert description.rstrip().endswith((".", ")")), name


@pytest.mark.parametrize(
    ("path", "render"),
    [
        (settings_table.PAGE, settings_table.render),
        (settings_table.EXAMPLE, settings_table.render_example),
    ],
    ids=["docs/settings.md", "saccade.toml.example"],
)
def test_the_documentation_of_settings_is_up_to_date(path: Path, render: Callable[[], str]) -> None:
    assert path.read_text() == render(), "Run `python -m tests.settings_table`."


@pytest.mark.parametrize("render", [settings_table.render, settings_table.render_example])
@pytest.mark.parametrize("name", ["rtsp_reader", "backend", "model_dtype", "tracker_precision", "log_level"])
def test_the_documentation_of_settings_lists_the_values_of_a_choice(
    name: str, render: Callable[[], str]
) -> None:
    text = " ".join(render().replace("\n# ", " ").split())
    values = get_args(Settings.model_fields[name].annotation)
    assert f"One of {', '.join(f'`{value}`' for value in values)}." in text


def test_the_example_of_settings_is_toml_that_the_service_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With every setting uncommented, all but those without a default have their default."""
    monkeypatch.delenv("SACCADE_WARM_SPARES")  # the tests' own, see tests/conftest.py
    lines = settings_table.render_example().splitlines()
    config = tmp_path / "saccade.toml"
    config.write_text("\n".join(line.removeprefix("#") for line in lines if not line.startswith("# ")))
    loaded = load_settings(config)
    assert loaded.model_fields_set == set(Settings.model_fields)
    for name, field in Settings.model_fields.items():
        assert field.default is None or getattr(loaded, name) == field.default, name
