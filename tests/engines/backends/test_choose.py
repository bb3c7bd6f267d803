"""A name from the settings becomes a backend."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from engines.backends.choose import NAMES, choose_backend
from streaming.errors import BackendUnavailable


@pytest.mark.parametrize("name", NAMES)
def test_every_name_gives_a_backend(name: str, tmp_path: Path) -> None:
    backend = choose_backend(name, threads=1, cache_dir=tmp_path)
    assert backend.name == ("openvino" if name == "auto" else name)


def test_without_openvino_auto_is_torch_and_its_own_name_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert choose_backend("auto").name == "torch"
    with pytest.raises(BackendUnavailable, match="not installed"):
        choose_backend("openvino")


def test_an_unknown_name_says_what_there_is() -> None:
    with pytest.raises(BackendUnavailable, match="No backend abacus"):
        choose_backend("abacus")
