"""The wheel and the sdist with the built page, and without Node."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.conftest import ROOT

ASSETS = "localrun/server/ui/assets"
FILES = ("index.html", "licenses.txt", "static/index-0123abcd.js")
COPIED = (
    *(".ci", "localrun/server/page", "localrun/server/ui"),
    *("pyproject.toml", "README.md", "LICENSE", "Makefile"),
    *("localrun/__init__.py", "localrun/_version.py", "localrun/server/__init__.py"),
)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with few modules, whose page has sources and is not built."""
    folder = tmp_path_factory.mktemp("checkout")
    ignored = shutil.ignore_patterns("__pycache__", "node_modules", "assets")
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, folder / name)
    sources = folder / "localrun/server/ui"
    (sources / "node_modules/pkg").mkdir(parents=True)
    (sources / "node_modules/pkg/index.js").write_text("x")
    (sources / "package.json").write_text("{}")
    (folder / ".gitignore").write_text("node_modules/\nlocalrun/server/ui/assets/\n")
    return folder


def build(checkout: Path, target: Path, *, path: Path) -> tuple[Path, Path, str]:
    """Build the wheel and the sdist with the programs in `path`; return them and what is printed."""
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(target)]
    done = subprocess.run(
        command, cwd=checkout, capture_output=True, text=True, env={"PATH": str(path)}, check=False
    )
    assert done.returncode == 0, done.stderr
    (wheel,), (sdist,) = target.glob("*.whl"), target.glob("*.tar.gz")
    return wheel, sdist, done.stdout + done.stderr


def page_files(path: Path) -> set[str]:
    """Return the files of a distribution below the folder of the page."""
    if path.suffix == ".whl":
        names = zipfile.ZipFile(path).namelist()
    else:
        with tarfile.open(path) as archive:
            names = [name.partition("/")[2] for name in archive.getnames()]
    return {name for name in names if name.startswith("localrun/server/ui/")}


def answer(wheel: Path, folder: Path) -> str:
    """Return what `/ui/` answers where the wheel is installed."""
    zipfile.ZipFile(wheel).extractall(folder)
    program = """if True:
        from localrun.server.page.assets import PageAssets
        print(PageAssets().respond("", {}).body.decode())"""
    environment = {"PYTHONPATH": os.pathsep.join([str(folder), *sys.path])}
    return subprocess.check_output([sys.executable, "-c", program], cwd=folder, env=environment, text=True)


def test_without_node_the_package_is_built_with_a_warning_and_explains_itself(
    checkout: Path, tmp_path: Path
) -> None:
    (tmp_path / "bin").mkdir()
    wheel, sdist, printed = build(checkout, tmp_path / "dist", path=tmp_path / "bin")
    assert "warning: the package has no web page: Node is not installed" in printed
    assert "run `make ui`" in printed
    assert page_files(wheel) == set()
    assert page_files(sdist) >= {"localrun/server/ui/package.json"}
    assert "make ui" in answer(wheel, tmp_path / "site")


def test_the_wheel_and_the_sdist_contain_the_built_page_with_its_licences_and_no_packages(
    checkout: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "built"
    shutil.copytree(checkout, folder)
    for name in FILES:
        (folder / ASSETS / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / ASSETS / name).write_text(f"built: {name}")
    (tmp_path / "bin").mkdir()
    wheel, sdist, printed = build(folder, tmp_path / "dist", path=tmp_path / "bin")
    expected = {f"{ASSETS}/{name}" for name in FILES}
    assert "warning" not in printed
    assert page_files(wheel) == expected
    assert expected < page_files(sdist)
    assert [name for name in page_files(sdist) if "node_modules" in name] == []
    assert answer(wheel, tmp_path / "site").strip() == "built: index.html"
    # a wheel from the sdist, where nothing is ignored, is the same
    (tmp_path / "sdist").mkdir()
    subprocess.run(["tar", "-xzf", sdist, "-C", tmp_path / "sdist"], check=True)
    (unpacked,) = (tmp_path / "sdist").iterdir()
    again, _, _ = build(unpacked, tmp_path / "again", path=tmp_path / "bin")
    assert page_files(again) == expected


def test_with_node_the_package_builds_the_page(checkout: Path, tmp_path: Path) -> None:
    folder = tmp_path / "checkout"
    shutil.copytree(checkout, folder)
    script = folder / ".ci/ui"
    script.write_text(f"#!/bin/sh\nmkdir -p {ASSETS} && echo page > {ASSETS}/index.html\n")
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("sh", "bash", "mkdir"):
        (programs / name).symlink_to(shutil.which(name) or "")
    for name in ("node", "npm"):
        (programs / name).write_text("#!/bin/sh\n")
        (programs / name).chmod(0o755)
    wheel, _, printed = build(folder, tmp_path / "dist", path=programs)
    assert "warning" not in printed
    assert page_files(wheel) == {f"{ASSETS}/index.html"}
    shutil.rmtree(folder / ASSETS)
    script.write_text("#!/bin/sh\necho cannot download the packages >&2\nexit 1\n")
    wheel, _, printed = build(folder, tmp_path / "failed", path=programs)
    assert "the package has no web page: cannot download the packages" in printed
    assert page_files(wheel) == set()
