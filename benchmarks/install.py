"""The disk space of an installation, and the time of an import and of a start of pytest."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from figures import Case, Chapter, Target, measure, report
from program import PROJECT, environment, quietly

EMPTY = "def test_nothing():\n    pass\n"

TARGETS = (
    Target("import localrun / python alone", lambda m: m["import localrun"] / m["python alone"], 2.0),
    Target("pytest with the plugin / without", lambda m: m["pytest"] / m["pytest, no plugin"], 1.1),
)


def compare(folder: Path, *, rounds: int) -> Chapter:
    """Run the benchmark. The sizes are printed immediately."""
    show_sizes(folder)
    (folder / "test_nothing.py").write_text(EMPTY)
    return Chapter("an import, a start of pytest", measure(cases(folder), rounds), TARGETS, "python alone")


def cases(folder: Path) -> dict[str, Case]:
    # other plugins would take a hundred times as long as the difference to measure
    environ = {**environment(folder), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    imports = {
        "python alone": "pass",
        "import localrun": "import localrun",
        "import localrun, with all that run needs": "import localrun; localrun.run",
        "import localrun.server.application": "import localrun.server.application",
    }
    pytest = ["-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder / "test_nothing.py")]
    return {
        **{name: partial(_python, environ, "-c", program) for name, program in imports.items()},
        "pytest, no plugin": partial(_python, environ, *pytest),
        "pytest": partial(_python, environ, *pytest, "-p", "localrun.pytest_plugin.plugin"),
    }


def _python(environ: Mapping[str, str], *arguments: str) -> None:
    quietly(sys.executable, *arguments, env=dict(environ))


def show_sizes(folder: Path) -> None:
    """Install the wheel into a folder and print the sizes."""
    report("building and installing the wheel")
    (wheel,) = _built(folder / "dist")
    site = folder / "site"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--target", str(site)]
    ran = subprocess.run([*command, str(wheel)], capture_output=True, text=True, check=False)
    print(f"\n{'pip install localrun-tasks':<48}{'MiB':>13}")
    _show("the wheel", wheel.stat().st_size)
    if ran.returncode:
        print(f"cannot install the dependencies: {ran.stderr.strip().splitlines()[-1]}")
        return
    sizes = {entry.name: _size(entry) for entry in site.iterdir()}
    _show("localrun, installed", sizes["localrun"])
    _show("with all dependencies", sum(sizes.values()))
    for name in sorted(sizes.keys() - {"localrun"}, key=lambda name: -sizes[name])[:5]:
        _show(f"  of that {name}", sizes[name])


def _built(target: Path) -> list[Path]:
    quiet = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(target)]
    subprocess.run(quiet, cwd=PROJECT, capture_output=True, check=True)
    return list(target.glob("*.whl"))


def _size(path: Path) -> int:
    if not path.is_dir():
        return path.lstat().st_size
    parts = (Path(parent, name) for parent, _, names in os.walk(path) for name in names)
    return sum(part.lstat().st_size for part in parts)


def _show(name: str, size: int) -> None:
    print(f"{name:<48}{size / 1024**2:>13.2f}")
