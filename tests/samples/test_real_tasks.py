"""Bundles in the shape of public App Engine tasks give what `docker build` and `docker run` give, unchanged.

The bundles are in tests/data/real_tasks: their Dockerfiles, descriptors, inputs and outputs are like those of
the public tasks, their programs are small. The expected values come from docker itself.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import pytest

from localrun.app import App
from localrun.cli import main
from localrun.engines.dockerd import DockerEngine
from localrun.settings import Settings
from tests.conftest import ROOT, skip_or_fail
from tests.support.samples import docker
from tests.support.session import remove_at_end
from tests.support.wheels import write_wheel

BASE = "localrun-base/python"
PYTHONS = ("localrun-test/python:3.10-slim-bullseye", "localrun-test/python:3.12-alpine")
UV, OTHER_UV = "localrun-test/uv:0.9", "localrun-test/mirror-of-uv:1"
PACKAGE = "def probability(row, column):\n    return (row * 7 + column * 3) % 10 / 10\n"
# installs the package of uv.lock
UV_PROGRAM = f"""#!/bin/sh -e
test "$1 $2" = "sync --locked" && test -f uv.lock && test -f pyproject.toml
folder=$(python3 -c 'import site; print(site.getsitepackages()[0])')
mkdir -p "$folder"
cat > "$folder/starmodel.py" <<'EOF'
{PACKAGE}EOF
"""


@dataclass(frozen=True)
class PublicTask:
    """A bundle: its folder, its example inputs, and the context of its build if it is another folder."""

    folder: str
    inputs: str = "examples/inputs"
    region: str = "examples/region.geojson"
    region_of: str = "image"
    context: str = ""

    def build_options(self, root: Path) -> list[str]:
        return ["--context", str(root / self.context)] if self.context else []


TASKS = [
    PublicTask("stardist"),
    PublicTask("pathology/hovernet", context="pathology"),
    PublicTask("pathology/kongnet", context="pathology", region_of="images/0"),
    PublicTask("pathology/nuclick", context="pathology"),
    PublicTask("example", inputs="inputs", region="region.geojson"),
    PublicTask("walkthrough", inputs="inputs", region="region.geojson"),
]


@dataclass
class Place:
    """A copy of the bundles, and what docker gives for them."""

    root: Path
    config: Path
    engine: DockerEngine
    images: dict[str, str] = field(default_factory=dict)

    def localrun(self, *arguments: object) -> int:
        """Call the command with BuildKit."""

        def make_app(settings: Settings) -> App:
            engine = DockerEngine(self.engine.address.url, config=self.config, builder="buildkit")
            return App(settings, engine)

        return main(["--home", str(self.root / "home"), *map(str, arguments)], make_app)

    def docker_outputs(self, task: PublicTask, inputs: Path) -> dict[str, bytes]:
        """Return the outputs of `docker build` and `docker run`."""
        folder = self.root / task.folder
        image = f"localrun-test/expected-{task.folder.replace('/', '-')}:1"
        if image not in self.images:
            context = self.root / task.context if task.context else folder
            plugin = str(self.config / "cli-plugins/docker-buildx")
            build = [plugin, "build", "--load", "--quiet", "-t", image]
            built = subprocess.run(
                [*build, "-f", str(folder / "Dockerfile"), str(context)],
                capture_output=True,
                text=True,
                check=False,
            )
            assert built.returncode == 0, built.stderr
            self.images[image] = built.stdout
        outputs = self.root / "expected" / f"{task.folder}-{len(list(self.root.rglob('expected/**')))}"
        outputs.mkdir(parents=True)
        mounts = ["-v", f"{inputs}:/inputs", "-v", f"{outputs}:/outputs"]
        user = f"{os.getuid()}:{os.getgid()}"
        ran = docker("run", "--rm", "--network=none", f"--user={user}", *mounts, image)
        assert ran.returncode == 0, ran.stderr
        return tree(outputs)


def tree(folder: Path) -> dict[str, bytes]:
    """Return the content of all files below a folder by their paths."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def place(
    docker_engine: DockerEngine, buildx_config: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    if docker_engine.find_image(BASE) is None:
        skip_or_fail(f"there is no image {BASE} (make base)")
    root = tmp_path_factory.mktemp("real") / "tasks"
    shutil.copytree(ROOT / "tests/data/real_tasks", root)
    write_wheel(root / "stardist/wheels", "starmodel", PACKAGE)
    for name in PYTHONS:
        docker_engine.tag_image(BASE, name)
    for name in (UV, OTHER_UV):
        import_program(name)
    before = built_images()
    made = Place(root, buildx_config, docker_engine)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("CACHE", "LEDGER"):
            patch.setenv(f"LOCALRUN_{name}", str(root / name.lower()))
        yield made
    docker("image", "rm", *made.images, *PYTHONS, UV, OTHER_UV)
    remove_at_end(*(built_images() - before))  # also those of other tests, which may still use them


def import_program(name: str) -> None:
    """Create an image with the program /uv."""
    packed = BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        member = tarfile.TarInfo("uv")
        member.mode, member.size = 0o755, len(UV_PROGRAM)
        archive.addfile(member, BytesIO(UV_PROGRAM.encode()))
    subprocess.run(["docker", "import", "-", name], input=packed.getvalue(), capture_output=True, check=True)


def built_images() -> set[str]:
    """The names of images that localrun built or loaded."""
    listed = docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}").stdout.split()
    return {name for name in listed if name.startswith(("localrun/build:", "localrun/image:"))}


@pytest.mark.docker
@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.folder)
def test_a_public_task_runs_with_its_example_folder_and_with_a_region(
    place: Place, task: PublicTask, tmp_path: Path
) -> None:
    # When the bundle is run with its folder of inputs
    folder, options = place.root / task.folder, task.build_options(place.root)
    inputs = folder / task.inputs
    assert place.localrun("run", folder, *options, "--inputs", inputs, "-o", tmp_path / "all") == 0

    # Then its outputs are docker's
    expected = place.docker_outputs(task, inputs)
    assert tree(tmp_path / "all") == expected

    # And with a region next to the image as well, in the folder or on its own
    with_region = tmp_path / "inputs"
    shutil.copytree(inputs, with_region)
    shutil.copyfile(folder / task.region, with_region / f"{task.region_of}.geojson")
    expected_region = place.docker_outputs(task, with_region)
    assert expected_region != expected
    given = ["--inputs", with_region]
    if task.region_of == "image":
        given = ["--inputs", inputs, "-i", f"image.geojson=@{folder / task.region}"]
    assert place.localrun("run", folder, *options, *given, "-o", tmp_path / "some") == 0
    assert tree(tmp_path / "some") == expected_region


@pytest.mark.docker
@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.folder)
def test_a_public_task_is_accepted_and_its_zip_gives_the_same(
    place: Place, task: PublicTask, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, options = place.root / task.folder, task.build_options(place.root)
    inputs, packed = folder / task.inputs, tmp_path / "task.zip"

    # App Engine would accept the bundle, and the zip that is built
    assert place.localrun("validate", folder, *options) == 0
    assert "App Engine would accept" in capsys.readouterr().out
    assert place.localrun("build", folder, *options, "-o", packed) == 0

    # The zip gives the outputs of docker
    assert place.localrun("run", packed, "--inputs", inputs, "-o", tmp_path / "out") == 0
    assert tree(tmp_path / "out") == place.docker_outputs(task, inputs)


@pytest.mark.docker
def test_an_image_to_copy_from_that_is_missing_may_be_replaced(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given a task whose Dockerfile copies from an image that no registry here has
    root = tmp_path / "pathology"
    shutil.copytree(place.root / "pathology", root)
    dockerfile = root / "hovernet/Dockerfile"
    missing = "registry.invalid/astral-sh/uv:0.9"
    dockerfile.write_text(dockerfile.read_text().replace(UV, missing))
    given = [root / "hovernet", "--context", root, "--inputs", root / "hovernet/examples/inputs"]

    # Then the failure offers the option, and the option works
    assert place.localrun("run", *given) != 0
    assert f"--build-context {missing}=docker-image://" in capsys.readouterr().err
    assert place.localrun("run", *given, "--build-context", f"{missing}=docker-image://{OTHER_UV}") == 0


def test_the_folder_of_several_tasks_lists_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCALRUN_HOME", str(tmp_path))
    assert main(["validate", str(ROOT / "tests/data/real_tasks/pathology")]) != 0
    printed = capsys.readouterr()
    for name in ("hovernet", "kongnet", "nuclick"):
        assert name in printed.out + printed.err
