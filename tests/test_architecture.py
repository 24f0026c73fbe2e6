"""The storeys of the house: imports go down, and each outside thing has one door."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "localrun"

# From the ground up. A module may import from its own storey and from those below.
STOREYS: list[tuple[str, set[str]]] = [
    ("ground", {"errors", "settings", "sizes", "guess", "divergences", "keccak", "hidden"}),
    ("words", {"states", "events", "record", "causes", "vocabulary", "document", "descriptor", "datatypes"}),
    ("words", {"suspects", "variation"}),
    ("base", {"engines.base"}),
    (
        "hands",
        {
            "bundle",
            "images",
            "values",
            "workspace",
            "claim",
            "owners",
            "tasklog",
            "transport",
            "ownership",
            "room",
            "wholefile",
            "metrics",
            "stall",
        },
    ),
    (
        "hands",
        {
            "admission",
            "journal",
            "engines.dockerd",
            "engines.fake",
            "library",
            "diskwatch",
            "metadata",
            "digest",
            "iexec",
            "safe",
        },
    ),
    ("hands", {"disagreement", "lookup"}),
    ("hands", {"validation", "packing", "scaffold", "comparison", "differences"}),
    (
        "spine",
        {
            "steps",
            "verdict",
            "ending",
            "postmortem",
            "task",
            "runner",
            "request",
            "profile",
            "intake",
            "manager",
            "recovery",
        },
    ),
    (
        "spine",
        {
            "tasklist",
            "crew",
            "waiting",
            "takeover",
            "watch",
            "exchange",
            "repeat",
            "leftovers",
            "checkup",
            "pruning",
        },
    ),
    ("spine", {"consensus", "replication"}),
    ("app", {"app"}),
    ("faces", {"cli", "server", "handle", "pytest_plugin", "__main__", "__init__"}),
]
DOORS = {
    "pydantic": {"server"},
    "fastapi": {"server"},
    "uvicorn": {"server"},
    "docker": {"engines.dockerd"},
    "psutil": {"admission", "journal"},
    "numpy": {"datatypes", "comparison"},
    "shapely": {"datatypes", "comparison"},
    "PIL": {"comparison"},
    "pydicom": {"comparison"},
    "pytest": {"pytest_plugin"},
}
FACES = {"cli", "server", "handle", "pytest_plugin", "__main__", "__init__"}


def module_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    if parts == ("engines", "__init__"):
        return "engines.base"
    return ".".join(parts[:2]) if parts[0] == "engines" else parts[0]


def level_of(module: str) -> int:
    order = ["ground", "words", "base", "hands", "spine", "app", "faces"]
    for storey, modules in STOREYS:
        if module in modules:
            return order.index(storey)
    raise AssertionError(
        f"{module} has no storey: add it to the house, in the test and in docs/architecture.md"
    )


def imports(tree: ast.AST) -> list[str]:
    found: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found


def own_modules(names: list[str]) -> set[str]:
    modules = set()
    for name in names:
        parts = name.split(".")
        if parts[0] != "localrun" or len(parts) < 2 or parts[1] == "__version__":
            continue
        modules.add(".".join(parts[1:3]) if parts[1] == "engines" else parts[1])
    return modules


def complaints(module: str, source: str) -> list[str]:
    tree = ast.parse(source)
    names = imports(tree)
    upward = [
        f"{module} imports {other}, which is above it"
        for other in sorted(own_modules(names))
        if level_of(other) > level_of(module)
    ]
    doors = [
        f"{module} imports {name}"
        for name in names
        if name.split(".")[0] in DOORS and module not in DOORS[name.split(".")[0]]
    ]
    return upward + doors + environment(module, tree)


def environment(module: str, tree: ast.AST) -> list[str]:
    if module in FACES:
        return []
    return [
        f"{module} reads the environment"
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv", "environb")
    ]


@pytest.mark.parametrize(
    "path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_every_module_keeps_its_storey(path: Path) -> None:
    assert complaints(module_of(path), path.read_text()) == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("values", "from localrun.runner.runner import Runner"),
        ("record", "from localrun.task import workspace"),
        ("manager", "import docker"),
        ("values", "import psutil"),
        ("runner", "import os\nhome = os.environ['HOME']"),
        ("errors", "from localrun.engines.base import Exit"),
        ("task", "from localrun.app import App"),
    ],
)
def test_a_planted_bad_import_is_noticed(module: str, source: str) -> None:
    assert complaints(module, source) != []


def test_only_one_method_gives_a_task_its_state() -> None:
    writers = [
        f"{path.name}:{node.lineno}"
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "replace"
        and "state" in [keyword.arg for keyword in node.keywords]
    ]
    assert [place.split(":")[0] for place in writers] == ["task.py"]


def test_every_bug_is_caught_in_one_place_only() -> None:
    broad = [
        path.name
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or (isinstance(node.type, ast.Name) and node.type.id == "Exception"))
    ]
    assert broad == ["runner.py"]


def test_no_module_outgrows_400_lines() -> None:
    long = {str(path.relative_to(PACKAGE)): path.read_text().count("\n") for path in PACKAGE.rglob("*.py")}
    assert {name: lines for name, lines in long.items() if lines > 400} == {}
