"""Checks the documentation against the repository: programs, links, figures' commands."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "engines").rglob("*.md")])


def test_the_program_in_the_readme_is_the_example() -> None:
    (program,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert program in (ROOT / "examples" / "read_results.py").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_between_files_lead_somewhere(page: Path) -> None:
    """Links to other sites are not followed. An anchor must be a heading of its page."""
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if link.startswith(("http://", "https://", "mailto:")):
            continue
        file, _, anchor = link.partition("#")
        target = page.parent / file if file else page
        assert target.exists(), f"{page.name} links to {link}"
        if anchor:
            assert anchor in anchors(target), f"{page.name} links to {link}"


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, made as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_table_of_figures_has_ten_rows_of_one_line() -> None:
    section = README.partition("\n## Figures\n")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ")]
    assert len(rows) == 1 + 10
    assert max(map(len, rows)) <= 160


ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()
FILE_AND_NAMES = re.compile(
    r"`((?:streaming|engines|actors|dashboards|lab|tests)/[\w/.]*)`"
    r"(?:\s+\(((?:`[\w.]+`(?:,\s+)?)+)\))?"
)
"A path, and the names in parentheses after it that it must define."


def test_every_file_and_name_in_the_architecture_exists() -> None:
    found = FILE_AND_NAMES.findall(ARCHITECTURE)
    assert len({path for path, _ in found}) > 40
    missing = [path for path, _ in found if not (ROOT / path).exists()]
    assert not missing
    for path, names in found:
        defined = defined_names(ROOT / path) if names else set()
        undefined = set(re.findall(r"[\w.]+", names)) - defined
        assert not undefined, f"{path} does not define {undefined}"


def defined_names(module: Path) -> set[str]:
    """Return the functions, classes and methods (`Class.method`) of a module."""
    names = set()
    for node in ast.parse(module.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
            inner = getattr(node, "body", []) if isinstance(node, ast.ClassDef) else []
            names |= {f"{node.name}.{each.name}" for each in inner if hasattr(each, "name")}
    return names


def test_the_ways_of_a_frame_and_of_a_query_are_numbered_lists_of_files() -> None:
    for title in ("A frame's way", "A query's way"):
        section = ARCHITECTURE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
        numbers = [int(number) for number in re.findall(r"^(\d+)\. ", section, re.MULTILINE)]
        assert numbers == [*range(1, 12)], title
        assert len(set(re.findall(r"`[a-z]+/[\w/]+\.py`", section))) >= 10, title
