"""The base images made from Debian packages: what they contain, and the script that makes them."""

from __future__ import annotations

import secrets
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import skip_or_fail
from tests.support.samples import docker

SCRIPT = Path(__file__).parents[2] / "samples/base/make.sh"
PYTHON = "localrun-base/python"
CONTENT = """
import ctypes, os, ssl, sysconfig
ctypes.CDLL("libstdc++.so.6")
assert not os.path.exists(sysconfig.get_path("stdlib") + "/EXTERNALLY-MANAGED")
print(len(ssl.create_default_context().get_ca_certs()) > 100)
"""
WHEEL = """
import sys, zipfile
with zipfile.ZipFile("/tmp/one-1-py3-none-any.whl", "w") as wheel:
    wheel.writestr("one.py", "print('one is there')")
    info = "one-1.dist-info"
    wheel.writestr(info + "/METADATA", "Metadata-Version: 2.1\\nName: one\\nVersion: 1\\n")
    wheel.writestr(info + "/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
    wheel.writestr(info + "/RECORD", "")
"""


def make(script: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the script."""
    if not shutil.which("apt-get"):
        skip_or_fail("apt-get not found: the base images are made from Debian packages")
    return subprocess.run([str(script), *arguments], capture_output=True, text=True, check=False)


def in_container(command: str) -> str:
    """Run a shell command in the Python image, without a network."""
    if docker("image", "inspect", PYTHON).returncode:
        skip_or_fail(f"image {PYTHON} not found; run `make base`")
    ran = docker("run", "--rm", "--network=none", PYTHON, "sh", "-c", command)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.fixture
def renamed(tmp_path: Path) -> Iterator[Path]:
    """A copy of the script that makes images of other names, removed at the end."""
    prefix = f"localrun-test/base-{secrets.token_hex(3)}"
    script = tmp_path / "make.sh"
    script.write_text(SCRIPT.read_text().replace("localrun-base", prefix))
    script.chmod(0o755)
    yield script
    names = docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", f"{prefix}/*").stdout.split()
    for name in names:
        docker("image", "rm", name)


@pytest.mark.docker
def test_the_python_image_has_libstdcxx_and_ca_certificates_and_lets_pip_install() -> None:
    assert in_container(f"python3 -c {shlex.quote(CONTENT)}") == "True\n"


@pytest.mark.docker
def test_pip_installs_a_wheel_from_a_folder_into_the_python_image_and_into_an_environment() -> None:
    install = "pip install --quiet --root-user-action=ignore --no-index --find-links /tmp one"
    command = f"python3 -c {shlex.quote(WHEEL)} && {install} && python3 -c 'import one'"
    environment = f"python3 -m venv /venv && /venv/bin/{install} && /venv/bin/python -c 'import one'"

    assert in_container(f"{command} && {environment}") == "one is there\n" * 2


@pytest.mark.docker
@pytest.mark.slow
def test_an_image_is_kept_until_the_recipe_changes(renamed: Path) -> None:
    built = make(renamed, "busybox")
    assert (built.returncode, built.stdout.count("building")) == (0, 1), built.stderr
    assert make(renamed, "busybox").stdout == ""

    renamed.write_text(renamed.read_text() + "# changed\n")

    assert make(renamed, "busybox").stdout.startswith("building")


@pytest.mark.docker
@pytest.mark.slow
def test_debian_packages_are_added_with_all_they_need_and_the_image_is_kept(renamed: Path) -> None:
    # When an image is made with a package that needs a library outside the usual folder
    made = make(renamed, "python3-numpy")

    # Then its name comes last, the package works, and another call does nothing
    assert made.returncode == 0, made.stderr
    name = made.stdout.splitlines()[-1]
    assert name.endswith("/python:numpy")
    program = "import numpy; print(numpy.linalg.inv(2 * numpy.eye(1))[0, 0])"
    assert docker("run", "--rm", "--network=none", name, "python3", "-c", program).stdout == "0.5\n"
    assert make(renamed, "python3-numpy").stdout == f"{name}\n"


@pytest.mark.docker
@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        pytest.param(
            ["python3-nunpy"], "Unable to locate package python3-nunpy", marks=pytest.mark.slow
        ),  # updates the package lists
        (
            ["python3;numpy"],
            "invalid package name 'python3;numpy'; expected python, busybox or Debian packages",
        ),
        (["--dry-run"], "invalid package name '--dry-run'"),
        (["-t", "name"], "-t is for an image with Debian packages"),
        (["-t"], "-t needs a name"),
    ],
    ids=lambda value: "".join(value) if isinstance(value, list) else "",
)
def test_wrong_arguments_are_refused(renamed: Path, arguments: list[str], reason: str) -> None:
    refused = make(renamed, *arguments)

    assert refused.returncode == 1
    assert reason in refused.stderr


@pytest.mark.docker
def test_help_shows_the_usage() -> None:
    assert "Usage: samples/base/make.sh [-t NAME]" in make(SCRIPT, "--help").stdout
