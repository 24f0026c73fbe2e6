"""The examples of the README and of the docs do what they say."""

from __future__ import annotations

import re
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from localrun.cli.entry import commands
from tests.support.project import project
from tests.support.samples import remove_new_images

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "samples").glob("**/README.md")),
]


NEEDS_BUILDKIT = ("README.md", "docs/cytomine-tasks.md")
NEEDS_NETWORK = ("docs/packages.md",)  # packages of PyPI and Debian, which take long to install
NETWORK_FAILURE = re.compile(
    r"Temporary failure|Failed to fetch|Could not connect|Unable to connect|Could not find a version"
    r"|timed out|Connection (?:reset|refused|broken|aborted)|Could not resolve|Service Unavailable"
)


@dataclass(frozen=True)
class Example:
    """A command as it is written after `$ `, and what it says it prints; `...` stands for anything."""

    command: str
    printed: str

    def fits(self, printed: str) -> bool:
        parts = (re.escape(part) for part in re.split(r"\.\.\.", self.printed))
        pattern = ".*".join(parts)
        return re.fullmatch(re.sub(r"(?:\\ )+", r"\\s+", pattern), printed.strip(), re.DOTALL) is not None


def examples(text: str) -> list[Example]:
    """Every example of the code blocks that are marked `sh`."""
    found = []
    for block in re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        for entry in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, printed = entry.partition("\n")
            if "<<'END'" in command:
                lines, _, printed = printed.partition("END\n")
                command += f"\n{lines}END"
            found.append(Example(command, printed.strip()))
    return found


def named(page: Path) -> str:
    """A page by its path in the project."""
    return page.relative_to(ROOT).as_posix()


def test_no_page_installs_the_other_distribution_of_that_name() -> None:
    texts = [*PAGES, *sorted((ROOT / "localrun").rglob("*.in")), *sorted((ROOT / "localrun").rglob("*.py"))]
    named_other = re.compile(r"\b(?:pipx?|uv)\b[^\n`]*\binstall\b[^\n`]*?[\s\"']localrun(?![-\w./])")
    found = [path for path in texts if named_other.search(path.read_text())]
    assert [path.relative_to(ROOT).as_posix() for path in found if path.name != "doctor.py"] == []
    assert named_other.search('pip install "localrun[pytest]"')
    assert not named_other.search('pip install "localrun-tasks[pytest]"')


PAGES_WITH_EXAMPLES = [
    pytest.param(page, id=named(page), marks=pytest.mark.slow if named(page) in NEEDS_NETWORK else ())
    for page in PAGES
    if examples(page.read_text())
]


@pytest.mark.docker
@pytest.mark.parametrize("page", PAGES_WITH_EXAMPLES)
def test_the_examples_of_a_page_print_what_they_say(
    page: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    # Given a fresh copy of the project
    environment = project(tmp_path)
    if named(page) in NEEDS_BUILDKIT:
        plugins = request.getfixturevalue("buildx_config") / "cli-plugins"
        environment["PATH"] = f"{plugins}:{environment['PATH']}"
    with remove_new_images(tmp_path / ".localrun"):
        for example in examples(page.read_text()):
            # When an example is typed
            ran = subprocess.run(
                ["bash", "-c", example.command],
                cwd=tmp_path,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )

            if named(page) in NEEDS_NETWORK and NETWORK_FAILURE.search(ran.stdout):
                pytest.skip(f"packages cannot be fetched: {ran.stdout[-500:]}")

            # Then it prints what the page says
            assert example.fits(ran.stdout), (
                f"$ {example.command}\n{ran.stdout}\n-- expected:\n{example.printed}"
            )


def test_every_link_to_a_file_leads_somewhere() -> None:
    for page in PAGES:
        links = re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text())
        assert [link for link in links if not (page.parent / link).exists()] == [], named(page)


def test_an_example_that_prints_something_else_is_noticed() -> None:
    (example,) = examples("```sh\n$ echo hi\nho ... hum\n```\n")
    assert example.fits("ho and hum\n")
    assert not example.fits("hi\n")


def test_every_file_that_a_recipe_names_is_there() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    named_files = set(re.findall(r"`((?:localrun|tests|docs|samples)/[^`\s]*?)(?:\.\.\.)?`", text))
    assert len(named_files) > 25
    missing = [name for name in named_files if not (ROOT / name).exists() and not any(ROOT.glob(f"{name}*"))]
    assert missing == []


def test_every_name_that_a_recipe_speaks_of_is_in_the_file_before_it() -> None:
    places = {
        "TYPES": "localrun/descriptor/types/registry.py",
        "_FIELDS": "localrun/descriptor/json_schema.py",
        "_DEFAULTS": "localrun/descriptor/json_schema.py",
        "ENGINES": "tests/engines/test_contract.py",
        "ALLOWED_IMPORTS": "tests/test_architecture.py",
        "EngineInfo": "localrun/engines/base.py",
        "Cause": "localrun/errors.py",
    }
    text = (ROOT / "CONTRIBUTING.md").read_text()
    for name, file in places.items():
        assert f"`{name}`" in text
        assert re.search(rf"^(class )?{name}\b", (ROOT / file).read_text(), re.MULTILINE), name


def commands_of(text: str) -> list[list[str]]:
    """The calls of localrun in the recipes of a page: in blocks of YAML, one a line."""
    blocks = re.findall(r"^```yaml\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    lines = re.findall(r"(?:run:|-) (localrun .*)$", "\n".join(blocks), re.MULTILINE)
    return [shlex.split(line.partition(" > ")[0])[1:] for line in lines]


def test_the_recipes_for_ci_are_yaml_and_call_commands_that_there_are(tmp_path: Path) -> None:
    text = (ROOT / "docs/ci.md").read_text()
    for block in re.findall(r"^```yaml\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        assert yaml.safe_load(block)
    found = commands_of(text)
    assert len(found) == 8
    for call in found:
        # an option that there is not, or a value too many, ends with 2 before anything is done
        context = commands.make_context("localrun", list(call))
        name, command, rest = commands.resolve_command(context, list(call))
        assert command is not None
        command.make_context(name, rest, parent=context)


def test_the_recipe_for_public_tasks_has_ten_lines_and_calls_commands_that_there_are() -> None:
    text = (ROOT / "docs/cytomine-tasks.md").read_text()
    (block,) = re.findall(r"^```yaml\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert len(block.splitlines()) == 10
    steps = yaml.safe_load(block)["jobs"]["task"]["steps"]
    calls = [shlex.split(call) for call in steps[-1]["run"].split("&&")]
    assert [call[:2] for call in calls] == [["localrun", "validate"], ["localrun", "run"]]
    for _, name, *rest in calls:
        context = commands.make_context("localrun", [name, *rest])
        command = commands.get_command(context, name)
        assert command is not None
        command.make_context(name, rest, parent=context)
