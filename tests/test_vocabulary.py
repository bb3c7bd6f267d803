"""Words that cross rooms are documented: arrays by shape and type, settings by a sentence and a table."""

from __future__ import annotations

import ast
import re
from dataclasses import is_dataclass
from pathlib import Path

import pytest

from streaming import events, status, vocabulary
from streaming.settings import Settings
from tests import settings_table

SOURCE = Path(vocabulary.__file__)
TREE = ast.parse(SOURCE.read_text())
SHAPE_AND_TYPE = re.compile(r"\([A-Za-z0-9, ]+\).*(uint8|bool|float32)")


def documented(body: list[ast.stmt]) -> dict[str, tuple[str, str]]:
    """By name of an annotated field or an alias: its type as written, and the string beneath it."""
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


def test_the_arrays_were_found() -> None:
    assert {"Pixels", "Mask", "Logits"} <= set(ARRAYS)
    assert {name for name, kind, _ in FIELDS if _array_in(kind)} >= {
        "Frame.pixels",
        "SegPrompt.embedding",
        "Answer.logits",
    }


def _array_in(kind: str) -> str | None:
    return next((name for name in ["NDArray", *ARRAYS] if re.search(rf"\b{name}\b", kind)), None)


@pytest.mark.parametrize("name", ARRAYS)
def test_every_kind_of_array_has_its_shape_and_type(name: str) -> None:
    assert SHAPE_AND_TYPE.search(ARRAYS[name]), f"{name} needs its shape, dtype and range beneath it"


@pytest.mark.parametrize(("name", "kind", "text"), FIELDS)
def test_every_array_in_a_field_has_its_shape_and_type(name: str, kind: str, text: str) -> None:
    array = _array_in(kind)
    if array is not None:
        told = text + ARRAYS.get(array, "")
        assert SHAPE_AND_TYPE.search(told), f"{name} needs its shape and dtype beneath it"


@pytest.mark.parametrize("module", [vocabulary, events, status], ids=lambda module: module.__name__)
def test_nouns_are_frozen_slotted_and_explained(module: object) -> None:
    nouns = [
        value
        for value in vars(module).values()
        if is_dataclass(value) and getattr(value, "__module__", "") == getattr(module, "__name__", "")
    ]
    assert nouns
    for noun in nouns:
        assert noun.__dataclass_params__.frozen, noun  # type: ignore[union-attr]
        assert "__slots__" in vars(noun), noun
        assert noun.__doc__ and not noun.__doc__.startswith(f"{noun.__name__}("), noun  # type: ignore[union-attr]


def test_nouns_with_arrays_are_not_compared_by_value() -> None:
    with_arrays = {name.split(".")[0] for name, kind, _ in FIELDS if _array_in(kind)}
    assert with_arrays
    for name in with_arrays:
        noun = getattr(vocabulary, name)
        assert noun.__eq__ is object.__eq__, f"{name} holds an array: eq=False"


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_has_a_sentence(name: str) -> None:
    description = Settings.model_fields[name].description
    assert description, f"{name} needs a docstring"
    assert description.rstrip().endswith((".", ")")), name


def test_the_table_of_settings_is_up_to_date() -> None:
    page = settings_table.PAGE.read_text() if settings_table.PAGE.is_file() else ""
    assert page == settings_table.render(), "Run `python -m tests.settings_table`."
