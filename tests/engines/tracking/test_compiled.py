"""The sources that a compiled graph's fingerprint covers."""

from __future__ import annotations

import ast
from pathlib import Path

import engines.tracking
from engines.tracking.compiled import GRAPH_SOURCES


def test_graph_sources_name_every_module_that_the_graphs_import() -> None:
    """Otherwise a graph compiled before a change of such a module would be taken from the cache."""
    folder = Path(str(engines.tracking.__file__)).parent
    reached, waiting = set(), ["graphs", "hiera", "repvit"]
    while waiting:
        name = waiting.pop()
        reached.add(name)
        parts = ast.walk(ast.parse((folder / f"{name}.py").read_text()))
        imported = [part.module or "" for part in parts if isinstance(part, ast.ImportFrom)]
        inside = {module.rpartition(".")[2] for module in imported if module.startswith("engines.tracking.")}
        waiting += inside - reached
    assert reached <= {path.stem for path in GRAPH_SOURCES}


def test_graph_sources_are_files_that_ship() -> None:
    assert all(path.is_file() for path in GRAPH_SOURCES)
