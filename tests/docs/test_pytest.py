"""The page on pytest: its files make a project, its commands print what it says, nothing is left out."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from localrun import pytest_plugin
from localrun.bundle.images.build import build_labels
from localrun.engines.dockerd import DockerEngine
from localrun.pytest_plugin import fixtures
from tests.conftest import ROOT, skip_or_fail
from tests.docs.test_examples import Example, examples
from tests.support.samples import BASE_IMAGE

PAGE = (ROOT / "docs/pytest.md").read_text()
FILES = re.findall(r"^`([\w./-]+)`:\n\n```\w+\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture
def project(tmp_path: Path, docker_engine: DockerEngine) -> Iterator[Path]:
    """The bundle of the page with the page's files; its image goes afterwards."""
    if docker_engine.find_image(BASE_IMAGE) is None:
        skip_or_fail(f"there is no image {BASE_IMAGE} (make base)")
    folder = tmp_path / "project"
    shutil.copytree(ROOT / "samples/add-integers", folder)
    with (folder / "add.py").open("a") as program:
        program.write(f"# {tmp_path}\n")  # an image that nobody else has
    for name, content in FILES:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    yield folder
    for found in docker_engine.images(build_labels(folder.resolve())):
        for tag in found.tags:
            docker_engine.remove_image(tag)


def run(example: Example, folder: Path) -> str:
    command = example.command.replace("pytest", f"{sys.executable} -m pytest -p no:cacheprovider", 1)
    ran = subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, text=True, check=False)
    return ran.stdout + ran.stderr


@pytest.mark.docker
def test_the_examples_of_the_page_print_what_they_say(project: Path) -> None:
    blocks = [
        (block.start(), block[1]) for block in re.finditer(r"^```console\n(.*?)^```", PAGE, re.S | re.M)
    ]
    assert len(FILES) == 9
    assert len(blocks) == 4
    for start, block in blocks:
        later = {name: PAGE.index(f"`{name}`:") > start for name, _ in FILES}
        hidden = [project / name for name, is_later in later.items() if is_later]
        texts = {path: path.read_text() for path in hidden}
        for path in hidden:  # a reader has come to this place of the page, and no further
            path.unlink()
        for example in examples(f"```sh\n{block}```\n"):
            printed = run(example, project)
            assert example.fits(printed), f"$ {example.command}\n{printed}\n-- expected:\n{example.printed}"
        for path, text in texts.items():
            path.write_text(text)


def test_every_fixture_option_and_class_is_on_the_page(pytester: pytest.Pytester) -> None:
    given = {name for name in vars(fixtures) if re.match(r"localrun|task_manager|fake_engine", name)}
    flags = set(re.findall(r"--localrun-[a-z-]+", pytester.runpytest("--help").stdout.str()))
    ini = {flag[2:].replace("-", "_") for flag in flags} - {"localrun_update"}
    lists = {"localrun_limit", "localrun_build_arg", "localrun_build_secret", "localrun_build_context"}
    ini = {f"{one}s" if one in lists else one for one in ini}
    wanted = {*given, *flags, *ini, "localrun_cases", *pytest_plugin.__all__}
    assert {name for name in wanted if f"`{name}" not in PAGE} == set()


def test_every_option_on_the_page_is_there(pytester: pytest.Pytester) -> None:
    shown = pytester.runpytest("--help").stdout.str()
    assert {flag for flag in re.findall(r"--localrun-[a-z-]+", PAGE) if flag not in shown} == set()


def test_the_recipes_for_ci_can_be_read_and_run_pytest_with_options_that_there_are() -> None:
    recipes = [yaml.safe_load(block) for block in re.findall(r"^```yaml\n(.*?)^```", PAGE, re.S | re.M)]
    github, gitlab = recipes
    steps = [step.get("run", "") for step in github["jobs"]["task"]["steps"]]
    assert [step.split()[0] for step in steps if step] == ["pip", "pytest"]
    assert gitlab["task"]["variables"]["DOCKER_HOST"] == "tcp://docker:2375"
    assert gitlab["task"]["script"][-1].startswith("pytest ")


def test_the_example_of_the_readme_is_one_of_the_page() -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.S | re.M)
    assert blocks
    assert [block for block in blocks if not any(block in content for _, content in FILES)] == []
