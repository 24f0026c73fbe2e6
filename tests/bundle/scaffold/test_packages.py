"""`init --with` writes an image with Python packages, in a layer of its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from localrun.bundle.images.ensure import ensure_image
from localrun.bundle.images.source import ImageFolder
from localrun.bundle.scaffold import template
from localrun.bundle.scaffold.packages import parse_packages
from localrun.engines.dockerd import DockerEngine
from localrun.errors import Problem, UsageError
from tests.conftest import skip_or_fail
from tests.support.samples import docker
from tests.support.wheels import write_wheel

BASE = "localrun-base/python"


def parsed(*texts: str) -> tuple[list[str], list[Problem]]:
    problems: list[Problem] = []
    return parse_packages(texts, problems), problems


@pytest.mark.parametrize(
    ("text", "packages"),
    [
        ("numpy,pillow", ["numpy", "pillow"]),
        (" numpy , scikit-image ", ["numpy", "scikit-image"]),
        ("numpy>=1.26,<3,pillow==11.*", ["numpy>=1.26,<3", "pillow==11.*"]),
        ("scikit-image[data,optional]~=0.25", ["scikit-image[data,optional]~=0.25"]),
        ("zope.interface!=5", ["zope.interface!=5"]),
    ],
)
def test_packages_are_written_as_pip_reads_them(text: str, packages: list[str]) -> None:
    assert parsed(text) == (packages, [])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nump y",
        "-r x.txt",
        "../wheel",
        "git+https://x/y",
        "a;b",
        "numpy>",
        "numpy==",
        "x@y",
        "ünicode",
        "-",
    ],
)
def test_what_is_no_package_is_refused(text: str) -> None:
    (problem,) = parsed(text)[1]
    assert problem.message.startswith("invalid package ")
    assert "numpy, pillow>=10" in problem.remedy


def test_all_problems_of_packages_and_parameters_are_reported_at_once() -> None:
    with pytest.raises(UsageError) as raised:
        template.render("new", ["x"], packages=["cv2,numpy", "NumPy", "a b"])
    assert [problem.path for problem in raised.value.problems] == [
        "--with cv2",
        "--with NumPy",
        "--with a b",
        "--input x",
    ]
    assert raised.value.problems[0].remedy == "use opencv-python-headless"


def test_the_packages_are_installed_before_the_program_is_copied() -> None:
    files = template.render("new", packages=["numpy,pillow"]).files
    lines = files["Dockerfile"].decode().splitlines()
    assert files["requirements.txt"] == b"numpy\npillow\n"
    assert lines.index("COPY requirements.txt wheels* /packages/") < lines.index("COPY program /app")
    assert b"`requirements.txt`" in files["README.md"]


def test_a_bundle_without_packages_stays_as_it_was() -> None:
    files = template.render("new").files
    assert "requirements.txt" not in files
    assert b"pip" not in files["Dockerfile"]


@pytest.mark.docker
def test_the_layer_of_the_packages_survives_an_edit_of_the_program_without_a_network(
    docker_engine: DockerEngine, tmp_path: Path
) -> None:
    # Given a bundle with a package in the folder of wheels
    if docker_engine.find_image(BASE) is None:
        skip_or_fail(f"there is no image {BASE} (make base)")
    bundle, cache = tmp_path / "new", tmp_path / "cache"
    template.write(template.render("new", packages=["one"]), bundle)
    write_wheel(bundle / "wheels", "one", "print('one is there')")
    source = ImageFolder(bundle, "Dockerfile", {"BASE_IMAGE": BASE})

    # When it is built, and built again after an edit of the program
    before = ensure_image(source, docker_engine, cache=cache)
    layers_before = layers(before.id)
    ran = docker("run", "--rm", "--network=none", "--entrypoint=python3", before.id, "-c", "import one")
    with (bundle / "program/main.py").open("a") as program:
        program.write("\n# edited\n")
    after = ensure_image(source, docker_engine, cache=cache)
    layers_after = layers(after.id)
    docker_engine.remove_image(after.id)

    # Then the package is there, and only the layer of the program has changed
    assert ran.stdout == "one is there\n"
    assert layers_after[:-1] == layers_before[:-1]
    assert layers_after[-1] != layers_before[-1]


def layers(image: str) -> list[str]:
    """Return the digests of an image's layers."""
    found: list[str] = json.loads(docker("image", "inspect", "-f", "{{json .RootFS.Layers}}", image).stdout)
    return found
