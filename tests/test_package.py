"""What is published: a wheel that has all it needs and nothing else, used by a project of its own."""

from __future__ import annotations

import ast
import os
import re
import secrets
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from configparser import ConfigParser
from dataclasses import dataclass
from email import message_from_bytes
from pathlib import Path

import pytest
import yaml
from _pytest.mark import ParameterSet

import localrun
from localrun import pytest_plugin
from localrun.bundle.images.build import build_labels
from localrun.engines.dockerd import DockerEngine
from tests.conftest import ROOT, skip_or_fail
from tests.support.packages import link_packages
from tests.support.samples import BASE_IMAGE
from tests.support.session import INNER_SESSIONS

DOWNSTREAM = ROOT / "samples" / "downstream-project"
NEEDED = ("pytest", "pytest-xdist")  # by the project, beside localrun itself


def build(source: Path, target: Path, *kinds: str) -> list[Path]:
    """Build distributions of a source folder."""
    options = [word for kind in kinds for word in ("-t", kind)]
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(target), *options]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return sorted(target.iterdir())


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The wheel and the sdist of this project."""
    found = build(ROOT, tmp_path_factory.mktemp("dist"), "wheel", "sdist")
    return {"wheel": next(path for path in found if path.suffix == ".whl"), "sdist": found[-1]}


def names_in(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def unpacked(sdist: Path, folder: Path) -> Path:
    """Unpack the sdist; return its only folder."""
    folder.mkdir(exist_ok=True)
    # tarfile's filters are missing in Python 3.11.2, and required in newer versions
    subprocess.run(["tar", "-xzf", sdist, "-C", folder], check=True)
    (found,) = folder.iterdir()
    return found


@dataclass(frozen=True)
class Environment:
    """A fresh environment with nothing in it but the wheel and what the project needs."""

    bin: Path

    def run(
        self, *arguments: str, cwd: Path, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command of it."""
        left_out = {"CI", *INNER_SESSIONS}
        kept = {
            name: value
            for name, value in os.environ.items()
            if name not in left_out and not name.startswith(("PYTHON", "LOCALRUN_"))
        }
        return subprocess.run(
            [str(self.bin / arguments[0]), *arguments[1:]],
            cwd=cwd,
            env={**kept, **(env or {})},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture(scope="module")
def fresh(distributions: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """The wheel, installed, with links to the installed packages that it requires."""
    folder = tmp_path_factory.mktemp("fresh") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    with zipfile.ZipFile(distributions["wheel"]) as archive:
        name = next(name for name in archive.namelist() if name.endswith("dist-info/METADATA"))
        metadata = message_from_bytes(archive.read(name))
    needed = [need for need in metadata.get_all("Requires-Dist") or [] if "extra ==" not in need]
    (site,) = folder.glob("lib/python*/site-packages")
    link_packages(site, [*needed, *NEEDED])
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "install", "--quiet"]
    offline = ["--no-index", "--no-deps", "--no-compile", "--disable-pip-version-check"]
    subprocess.run([*pip, *offline, str(distributions["wheel"])], check=True)
    return Environment(folder / "bin")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the downstream project, whose image nobody else has."""
    folder = tmp_path / "project"
    shutil.copytree(DOWNSTREAM, folder, ignore=shutil.ignore_patterns("__pycache__", ".*_cache"))
    with (folder / "task/program/draw.py").open("a") as program:
        program.write(f"# {secrets.token_hex(8)}\n")
    return folder


@pytest.fixture
def built_once(project: Path, docker_engine: DockerEngine) -> Iterator[Path]:
    """The same; its image goes afterwards."""
    if docker_engine.find_image(BASE_IMAGE) is None:
        skip_or_fail(f"there is no image {BASE_IMAGE} (make base)")
    yield project
    for found in docker_engine.images(build_labels((project / "task").resolve())):
        for tag in found.tags:
            docker_engine.remove_image(tag)


# -- what is in it ----------------------------------------------------------------------------------


def test_the_wheel_has_the_package_and_nothing_else(distributions: dict[str, Path]) -> None:
    names = names_in(distributions["wheel"])
    assert {name.partition("/")[0] for name in names} == {
        "localrun",
        f"localrun_tasks-{localrun.__version__}.dist-info",
    }
    assert {"localrun/py.typed", "localrun/server/api_docs/index.html"} <= set(names)
    assert "localrun/bundle/scaffold/templates/test_task.py.in" in names
    tests = re.compile(r"(^|/)(tests?|conftest\.py|test_[^/]*\.py|__pycache__)(/|$)")
    assert [name for name in names if tests.search(name)] == []


def test_the_wheel_has_every_file_of_the_package(distributions: dict[str, Path]) -> None:
    here = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "localrun").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    page = "localrun/server/ui/"  # of which only the built page is published
    here = {name for name in here if not name.startswith(page) or name.startswith(f"{page}assets/")}
    assert here - set(names_in(distributions["wheel"])) == set()


def test_its_commands_and_its_plugin_are_declared(distributions: dict[str, Path]) -> None:
    wheel = distributions["wheel"]
    entry_points = next(name for name in names_in(wheel) if name.endswith("entry_points.txt"))
    read = ConfigParser()
    with zipfile.ZipFile(wheel) as archive:
        read.read_string(archive.read(entry_points).decode())
    assert {name: dict(read[name]) for name in read.sections()} == {
        "console_scripts": {"localrun": "localrun.cli:main"},
        "pytest11": {"localrun": "localrun.pytest_plugin.plugin"},
    }


def test_the_sdist_makes_the_same_wheel(distributions: dict[str, Path], tmp_path: Path) -> None:
    folder = unpacked(distributions["sdist"], tmp_path / "sdist")
    (wheel,) = build(folder, tmp_path / "dist", "wheel")
    assert sorted(names_in(wheel)) == sorted(names_in(distributions["wheel"]))
    assert wheel.read_bytes() == distributions["wheel"].read_bytes()


@pytest.mark.parametrize("target", ["demo", "test"])
def test_make_finds_what_it_needs_in_the_sdist(
    distributions: dict[str, Path], tmp_path: Path, target: str
) -> None:
    folder = unpacked(distributions["sdist"], tmp_path)
    done = subprocess.run(["make", "-n", target], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    scripts = set(re.findall(r"^(?:@)?((?:\.ci|samples)/\S+)", done.stdout, re.MULTILINE))
    assert {".ci/venv", ".ci/engine"} <= scripts
    assert [name for name in scripts if not os.access(folder / name, os.X_OK)] == []


def test_the_sdist_has_every_file_that_its_readme_links_to(
    distributions: dict[str, Path], tmp_path: Path
) -> None:
    folder = unpacked(distributions["sdist"], tmp_path)
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", (folder / "README.md").read_text())
    assert links
    assert [link for link in links if "://" not in link and not (folder / link).exists()] == []


def test_the_metadata_name_the_versions_of_python_and_link_to_nothing_that_an_index_lacks(
    distributions: dict[str, Path],
) -> None:
    wheel = distributions["wheel"]
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith("dist-info/METADATA"))
        metadata = message_from_bytes(archive.read(name))
    assert metadata["Name"] == "localrun-tasks"
    classifiers = metadata.get_all("Classifier") or []
    versions = [f"Programming Language :: Python :: 3.{minor}" for minor in (11, 12, 13)]
    assert {*versions, "Framework :: Pytest"} <= set(classifiers)
    assert metadata["Author"]
    assert any(need.startswith("pydantic>") for need in metadata.get_all("Requires-Dist") or [])
    text = str(metadata.get_payload())
    assert "# localrun" in text
    assert re.findall(r"\]\((?!https?:)[^)]*\)", text) == []


def test_every_package_that_is_imported_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [name for needs in project["optional-dependencies"].values() for name in needs]
    declared = {re.split(r"[^\w.-]", need)[0].lower() for need in [*project["dependencies"], *extras]}
    imports = re.compile(r"^ *(?:import|from(?= \S+ import )) (\w+)", re.MULTILINE)
    sources = (ROOT / "localrun").rglob("*.py")
    imported = {name for path in sources for name in imports.findall(path.read_text())}
    packages = {"Crypto": "pycryptodome", "PIL": "pillow", "yaml": "pyyaml", "_pytest": "pytest"}
    packages |= {name: name.replace("_", "-") for name in ("prometheus_client", "python_multipart")}
    outside = imported - set(sys.stdlib_module_names) - {"localrun"}
    assert {packages.get(name, name) for name in outside} - declared == set()


def test_the_citation_names_the_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == localrun.__version__


# -- installed --------------------------------------------------------------------------------------


def test_the_command_works_where_nothing_else_is(fresh: Environment, tmp_path: Path) -> None:
    version = fresh.run("localrun", "--version", cwd=tmp_path)
    assert version.stdout.strip().endswith(localrun.__version__)
    checked = fresh.run("localrun", "validate", "none", cwd=tmp_path)
    assert "no such file or folder: none" in checked.stderr
    served = fresh.run(
        "python", "-c", "import localrun.server.application, localrun.engines.dockerd", cwd=tmp_path
    )
    assert served.returncode == 0, served.stderr


def test_every_public_name_passes_a_strict_type_check() -> None:
    cache = ROOT / ".mypy_cache" / "downstream"  # kept, as without it mypy checks numpy and others again
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--follow-imports=silent", "--cache-dir", str(cache)],
        cwd=DOWNSTREAM,
        env={**os.environ, "MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_the_project_uses_every_public_name() -> None:
    used = set()
    for path in (*DOWNSTREAM.glob("src/**/*.py"), *DOWNSTREAM.glob("tests/*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute):
                used.add(node.attr)
            elif isinstance(node, ast.Name):
                used.add(node.id)
    assert {*localrun.__all__, *pytest_plugin.__all__} - used == set()


def outcomes(done: subprocess.CompletedProcess[str]) -> dict[str, int]:
    """How many tests passed, and so on."""
    found = re.findall(r"(\d+) (passed|failed|skipped|errors?)", done.stdout.splitlines()[-1])
    return {what: int(number) for number, what in found}


ONE_PROCESS, XDIST = pytest.param([], id="one process"), pytest.param(["-n", "2"], id="xdist")


def slow(workers: ParameterSet) -> ParameterSet:
    """Leave a combination to `make attack`."""
    return pytest.param(*workers.values, id=workers.id, marks=pytest.mark.slow)


@pytest.mark.parametrize("workers", [ONE_PROCESS, slow(XDIST)])
def test_the_tests_of_the_project_pass_without_docker(
    fresh: Environment, project: Path, workers: list[str]
) -> None:
    nowhere = {"DOCKER_HOST": f"unix://{project}/none.sock"}
    done = fresh.run("python", "-m", "pytest", "-q", "-rs", *workers, cwd=project, env=nowhere)
    assert done.returncode == 0, done.stdout
    assert outcomes(done) == {"passed": 10, "skipped": 9}
    assert "cannot connect to a container engine at" in done.stdout


@pytest.mark.docker
@pytest.mark.parametrize("workers", [slow(ONE_PROCESS), XDIST])
def test_the_tests_of_the_project_pass_on_docker(
    fresh: Environment, built_once: Path, workers: list[str]
) -> None:
    options = ["--localrun-build-arg", f"BASE_IMAGE={BASE_IMAGE}", *workers]
    done = fresh.run("python", "-m", "pytest", "-q", *options, cwd=built_once)
    assert done.returncode == 0, done.stdout
    assert outcomes(done) == {"passed": 19}
