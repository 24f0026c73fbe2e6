"""The layers of docs/architecture.md: each import goes down, and each third-party package has its place."""

from __future__ import annotations

import ast
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "localrun"

# From the ground up. A folder or module imports from lower layers only.
LAYERS: list[set[str]] = [
    {"errors", "units", "suggestions", "undecodable", "_version"},
    {"settings", "fs", "copying"},
    {"descriptor", "engines", "masking"},
    {"bundle", "task"},
    {"values", "admission"},
    {"platforms"},
    {"runner"},
    {"manager", "maintenance", "console"},
    {"report"},
    {"app"},
    {"supervisor"},
    {"api"},
    {"batch"},
    {"server"},
    {"cli", "pytest_plugin"},
    {"__init__"},
    {"__main__"},
]
LEVELS = {name: level for level, names in enumerate(LAYERS) for name in names}

# third-party package -> the folders and modules that may import it
ALLOWED_IMPORTS: dict[str, set[str]] = {
    "Crypto": {"platforms", "batch.cluster"},
    "PIL": {"values", "report", "server"},
    "anyio": {"server"},
    "click": {"cli"},
    "distributed": {"batch.cluster"},
    "docker": {"engines.dockerd"},
    "fastapi": {"server"},
    "filelock": {"bundle"},
    "fsspec": {"values"},  # inputs of a single task may be URLs, too
    "mcp": {"cli"},
    "httptools": {"engines.dockerd", "server"},
    "numpy": {"descriptor.types", "values"},
    "prometheus_client": {"server"},
    "psutil": {"admission", "runner"},
    "pydantic": {"server"},
    "pydicom": {"values", "report", "server"},
    "pytest": {"pytest_plugin"},
    "python_multipart": {"server.appengine"},
    "rich": {"console", "cli"},
    "shapely": {"descriptor.types", "values"},
    "starlette": {"server"},
    "uvicorn": {"server"},
    "watchfiles": {"cli"},
    "yaml": {"descriptor"},
}
ANYWHERE = {"msgspec"}
READS_ENVIRONMENT = {"cli", "api", "server", "pytest_plugin"}
SKIPPED_BY_TOOLS = {"build", "dist", "venv", "node_modules"}  # git, hatch, ruff and pytest skip such folders
# not named after a package folder
OTHER_TESTS = {"browser", "attack", "cluster", "data", "docs", "faults", "modules", "samples", "support"}
MOST_LINES = 400
LONGEST_FUNCTION = 67


def module_name(path: Path, package: Path = PACKAGE) -> str:
    """Return the dotted name below the package; that of a folder for its `__init__.py`."""
    parts = path.relative_to(package).with_suffix("").parts
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}
FOLDERS = {str(path.parent.relative_to(PACKAGE)).replace("/", ".") for path in PACKAGE.rglob("__init__.py")}


@cache
def walk(tree: ast.AST) -> list[ast.AST]:
    """Return all nodes of a tree, each of which is searched for many things."""
    return list(ast.walk(tree))


@cache
def nodes(tree: ast.AST) -> list[ast.stmt]:
    return [node for node in walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]


def imported_names(tree: ast.AST) -> Iterator[str]:
    """Yield each imported module, or module and name."""
    for node in nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names)


def imported_modules(tree: ast.AST, modules: Iterable[str]) -> Iterator[str]:
    """Yield the modules of the package that are imported, by their names below it."""
    for name in imported_names(tree):
        head, _, rest = name.partition(".")
        if head == "localrun":
            yield rest if rest in modules else rest.rpartition(".")[0] or rest


def layer_errors(module: str, tree: ast.AST) -> Iterator[str]:
    own = module.split(".", maxsplit=1)[0]
    for other in imported_modules(tree, MODULES):
        top = other.split(".")[0]
        if top not in LEVELS:
            yield f"{module} imports {other}, which has no layer"
        elif top != own and LEVELS[top] == LEVELS[own]:
            yield f"{module} imports {other}, which is in the same layer"
        elif LEVELS[top] > LEVELS[own]:
            yield f"{module} imports {other}, which is in a higher layer"


def self_import_errors(module: str, tree: ast.AST) -> Iterator[str]:
    for name in imported_names(tree):
        head, _, rest = name.partition(".")
        if name.startswith("."):
            yield f"{module} imports {name}: imports are absolute"
        elif head == "localrun" and rest.split(".")[0] not in LEVELS:
            yield f"{module} imports {name} from the package itself"


def third_party_errors(module: str, tree: ast.AST) -> Iterator[str]:
    for name in imported_names(tree):
        package = name.split(".")[0]
        if package in sys.stdlib_module_names or package in {"localrun", "", *ANYWHERE}:
            continue
        allowed = ALLOWED_IMPORTS.get(package, set())
        if not any(module == place or module.startswith(f"{place}.") for place in allowed):
            yield f"{module} imports {name}"


def environment_errors(module: str, tree: ast.AST) -> Iterator[str]:
    if module.split(".", maxsplit=1)[0] in READS_ENVIRONMENT:
        return
    names = ("environ", "getenv", "environb")
    for node in walk(tree):
        attribute = isinstance(node, ast.Attribute) and node.attr in names
        if attribute or (isinstance(node, ast.alias) and node.name in names):
            yield f"{module} reads the environment"


def engine_name_errors(module: str, tree: ast.AST) -> Iterator[str]:
    """Yield decisions by the name of an engine: differences between engines are data in `EngineInfo`."""
    if module.split(".", maxsplit=1)[0] == "engines":
        return
    for node in walk(tree):
        if isinstance(node, ast.Compare):
            operands = [node.left, *node.comparators]
        elif isinstance(node, ast.Match):
            operands = [node.subject]
        elif isinstance(node, ast.Subscript):
            operands = [node.slice]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith((".get", "startswith")):
            operands = [node.func, *node.args]
        else:
            continue
        if any(_names_engine(operand) for operand in operands):
            yield f"{module} line {node.lineno} decides by the name of an engine"


def _names_engine(operand: ast.AST) -> bool:
    for node in ast.walk(operand):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.lower() == "podman":
            return True
        owner = ast.unparse(node.value) if isinstance(node, ast.Attribute) and node.attr == "name" else ""
        if owner == "info" or owner.endswith(("info()", ".info", "engine_info")):
            return True
    return False


def init_errors(module: str, tree: ast.Module, modules: Iterable[str]) -> Iterator[str]:
    """Yield what an `__init__.py` holds besides a docstring and re-exports."""
    for node in tree.body:
        if not _is_reexport(node):
            yield f"{module}/__init__.py line {node.lineno} holds code"
    exported = {
        alias.asname or alias.name
        for node in nodes(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    yield from (
        f"{module} re-exports {name}, as its submodule" for name in exported if f"{module}.{name}" in modules
    )


def _is_reexport(node: ast.stmt) -> bool:
    if isinstance(node, ast.If):
        names = ("__getattr__", "__dir__")
        functions = all(isinstance(inner, ast.FunctionDef) and inner.name in names for inner in node.body)
        return "TYPE_CHECKING" in ast.unparse(node.test) and (functions or all(map(_is_reexport, node.body)))
    if isinstance(node, ast.Assign):
        return ast.unparse(node.targets[0]) == "__all__"
    return isinstance(node, ast.Import | ast.ImportFrom) or (
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    )


def errors(module: str, tree: ast.Module, *, is_init: bool = False) -> list[str]:
    found = [
        *layer_errors(module, tree),
        *third_party_errors(module, tree),
        *environment_errors(module, tree),
        *engine_name_errors(module, tree),
    ]
    if module not in ("__init__", "__main__"):
        found += self_import_errors(module, tree)
    if is_init:
        found += init_errors(module, tree, MODULES)
    return found


def runtime_imports(tree: ast.Module) -> Iterator[str]:
    """Yield what a module imports when it runs: everything but `if TYPE_CHECKING` blocks."""
    kept = [
        node
        for node in tree.body
        if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    ]
    yield from imported_modules(ast.Module(kept, []), MODULES)


def cycle(graph: dict[str, set[str]]) -> list[str]:
    """Return modules that import each other in a circle; none if there is no such circle."""
    left = {module: set(others) & set(graph) - {module} for module, others in graph.items()}
    while free := [module for module, others in left.items() if not others]:
        for module in free:
            del left[module]
        for others in left.values():
            others.difference_update(free)
    return sorted(left)


@pytest.fixture(scope="module")
def trees() -> dict[str, ast.Module]:
    """Return the syntax tree of each module."""
    return {module: ast.parse(path.read_text()) for module, path in MODULES.items()}


def test_each_module_imports_only_what_its_layer_may(trees: dict[str, ast.Module]) -> None:
    found: list[str] = []
    for module, tree in trees.items():
        found += errors(module, tree, is_init=MODULES[module].name == "__init__.py" and module != "__init__")
    assert found == []


@pytest.mark.parametrize(
    ("module", "source", "is_init"),
    [
        pytest.param("values.parsing", "from localrun.runner.runner import Runner", False, id="upward"),
        pytest.param("task.record", "def f():\n    import localrun.app", False, id="lazy upward"),
        pytest.param("values.parsing", "from localrun.admission import queue", False, id="sideways"),
        pytest.param("bundle.reader", "import localrun.task.record", False, id="sideways, plain import"),
        pytest.param("errors", "from localrun.units import format_bytes", False, id="sideways, modules"),
        pytest.param("cli.run", "import localrun", False, id="self-import"),
        pytest.param("cli.run", "from localrun import __version__", False, id="self-import of a name"),
        pytest.param("cli.run", "from . import exit_codes", False, id="relative"),
        pytest.param("values", "LIMIT = 3", True, id="code in __init__"),
        pytest.param("values", "def collect() -> None: ...", True, id="function in __init__"),
        pytest.param("values", "from localrun.values.parsing import parsing", True, id="name of a submodule"),
        pytest.param("manager.manager", "import docker", False, id="docker"),
        pytest.param("engines.fake.engine", "import docker", False, id="docker in another engine"),
        pytest.param("values.parsing", "import psutil", False, id="psutil"),
        pytest.param("api.wait", "from rich.console import Console", False, id="rich"),
        pytest.param("task.record", "import requests", False, id="unknown package"),
        pytest.param("runner.runner", "import os\nhome = os.environ['HOME']", False, id="environment"),
        pytest.param("runner.runner", "from os import getenv", False, id="environment by name"),
        pytest.param("runner.chown", "if engine.info().name == 'podman': pass", False, id="engine's name"),
        pytest.param("maintenance.prune", "old = info.name == kind", False, id="engine's name, a variable"),
        pytest.param("maintenance.prune", "x = {'docker': 1}[info.name]", False, id="engine's name, a table"),
        pytest.param("cli.info", "x = TABLE.get(engine.info().name)", False, id="engine's name, a get"),
        pytest.param("cli.info", "x = kind in ('docker', 'podman')", False, id="engine's name, a list"),
        pytest.param("cli.info", "match e.info().name:\n case _: pass", False, id="engine's name, match"),
    ],
)
def test_a_planted_violation_is_found(module: str, source: str, is_init: bool) -> None:
    assert errors(module, ast.parse(source), is_init=is_init) != []


def test_modules_do_not_import_each_other_in_a_circle(trees: dict[str, ast.Module]) -> None:
    graph = {module: set(runtime_imports(tree)) for module, tree in trees.items()}
    # a re-export is the module behind it: importing a folder runs its __init__, which is no circle by itself
    assert cycle({module: others - FOLDERS for module, others in graph.items()}) == []
    assert cycle({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) == ["a", "b", "c"]


def test_the_top_of_the_package_is_small() -> None:
    entries = [path for path in PACKAGE.iterdir() if path.name != "__pycache__"]
    assert len(entries) <= 31
    assert {path.stem for path in entries} - {"py"} <= set(LEVELS)


def test_tests_mirror_the_package() -> None:
    folders = {path.parent.relative_to(ROOT / "tests") for path in (ROOT / "tests").rglob("test_*.py")}
    named = {folder for folder in folders if folder.parts and folder.parts[0] not in OTHER_TESTS}
    assert [str(folder) for folder in sorted(named) if not (PACKAGE / folder).is_dir()] == []
    assert {folder.split(".")[0] for folder in FOLDERS} - {"", "."} <= {folder.parts[0] for folder in named}


def test_pytest_collects_every_test_file(pytestconfig: pytest.Config) -> None:
    skipped = pytestconfig.getini("norecursedirs")
    patterns = pytestconfig.getini("python_files")
    assert pytestconfig.getini("testpaths") == ["tests"]
    for path in (ROOT / "tests").rglob("conftest.py"):
        assert "collect_ignore" not in path.read_text(), path
    for path in (ROOT / "tests").rglob("test_*.py"):
        folders = path.relative_to(ROOT).parts[:-1]
        assert not [name for name in folders if any(fnmatch(name, skip) for skip in skipped)], path
        assert any(fnmatch(path.name, pattern) for pattern in patterns), path


def test_no_folder_has_a_name_that_tools_skip() -> None:
    folders = {path.parent for top in ("localrun", "tests") for path in (ROOT / top).rglob("*.py")}
    parts = {part for folder in folders for part in folder.relative_to(ROOT).parts}
    assert parts & (SKIPPED_BY_TOOLS | {"utils"}) == set()
    assert [path.name for path in MODULES.values() if path.stem == "utils"] == []


def test_no_module_or_function_is_longer_than_the_limit(trees: dict[str, ast.Module]) -> None:
    sizes = {name: path.read_text().count("\n") for name, path in MODULES.items()}
    assert {name: lines for name, lines in sizes.items() if lines > MOST_LINES} == {}
    functions = {
        f"{module}.{node.name}": (node.end_lineno or 0) - node.lineno + 1
        for module, tree in trees.items()
        for node in walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert {name: lines for name, lines in functions.items() if lines > LONGEST_FUNCTION} == {}


def test_no_two_public_classes_share_a_name(trees: dict[str, ast.Module]) -> None:
    names = Counter(
        node.name
        for tree in trees.values()
        for node in tree.body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    # the body of a request that creates multiple tasks has this name in clients
    assert [name for name, count in names.items() if count > 1] == ["Batch"]


def test_only_one_method_gives_a_task_its_state(trees: dict[str, ast.Module]) -> None:
    writers = {
        module
        for module, tree in trees.items()
        for node in walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "replace"
        and "state" in [keyword.arg for keyword in node.keywords]
    }
    assert writers == {"task.active"}


def test_every_bug_of_a_task_and_of_a_command_is_caught_in_one_place_only(
    trees: dict[str, ast.Module],
) -> None:
    broad = Counter(
        module
        for module, tree in trees.items()
        for node in walk(tree)
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or (isinstance(node.type, ast.Name) and node.type.id == "Exception"))
    )
    assert broad == {"task.outcome": 1, "cli.entry": 1}
