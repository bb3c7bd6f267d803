"""Hub names are told from paths."""

from __future__ import annotations

from engines.grounding.hub_name import is_hub_name


def test_a_folder_path_is_not_a_hub_name() -> None:
    assert is_hub_name("ByteDance/Sa2VA-1B") and is_hub_name(f"someone/tiny@{'0123456789' * 4}")
    assert not [name for name in ("nano", "/a/b", "a/b/c", "./a/b", "~/a/b", "a b/c") if is_hub_name(name)]
