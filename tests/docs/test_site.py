"""The site is built without a warning, says what the program says, and needs nothing from the internet."""

from __future__ import annotations

import functools
import importlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = (
    "docs",
    "samples",
    "benchmarks",
    "mkdocs.yml",
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "SECURITY.md",
)
QUIET = {"NO_MKDOCS_2_WARNING": "1"}  # what a later mkdocs will be like is no fault of the site

sys.path.insert(0, str(ROOT / "docs"))
generate: Any = importlib.import_module("generate")
generate.pages = functools.cache(generate.pages)


def build(project: Path, site: Path) -> subprocess.CompletedProcess[str]:
    """Build the site of a project."""
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(site)],
        cwd=project,
        env={**os.environ, **QUIET},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` builds it."""
    folder = tmp_path_factory.mktemp("site")
    built = build(ROOT, folder)
    assert built.returncode == 0, built.stderr
    assert "WARNING" not in built.stderr
    return folder


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The sources of the site, to be spoilt."""
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, tmp_path / name)
    return tmp_path


def test_every_page_is_built_and_every_link_and_anchor_leads_somewhere(site: Path) -> None:
    assert (site / "index.html").exists()
    for page in (ROOT / "docs").rglob("*.md"):
        assert (site / page.relative_to(ROOT / "docs").with_suffix(".html")).exists()


MISTAKES = (
    ("docs/cli.md", "[a page](nowhere.md)", "'nowhere.md'"),
    ("docs/cli.md", "[a heading](http.md#no-such-heading)", "no-such-heading"),
    ("README.md", "[a page](docs/not-here.md)", "not-here.md"),
    ("docs/lost.md", "# In no menu", "not included in the"),
)


@pytest.mark.slow
def test_a_link_that_leads_nowhere_and_a_page_in_no_menu_fail_the_build(copy: Path) -> None:
    # Given the sources with mistakes
    for page, text, _ in MISTAKES:
        with (copy / page).open("a") as stream:
            stream.write(f"\n\n{text}\n")

    # Then the build fails, because it warns of each of them
    built = build(copy, copy / "site")
    assert built.returncode != 0
    printed = (built.stdout + built.stderr).splitlines()
    warnings = "\n".join(line for line in printed if not line.startswith("INFO"))
    assert [complaint for *_, complaint in MISTAKES if complaint not in warnings] == []
    assert "warnings in strict mode" in warnings


def test_the_pages_load_nothing_from_elsewhere(site: Path) -> None:
    loaded = re.compile(r"""<(?:script|link|img)\b[^>]*\b(?:src|href)=["']?((?:https?:)?//[^"'\s>]*)""")
    for page in site.rglob("*.html"):
        assert loaded.findall(page.read_text()) == [], page
    for style in site.rglob("*.css"):
        assert re.findall(r"(?:url\(|@import )[\"']?(?:https?:)?//", style.read_text()) == [], style


def test_the_reference_is_what_the_program_says() -> None:
    assert generate.main(["--check"]) == 0


def test_a_page_of_the_reference_that_was_changed_by_hand_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given a page that says something else, and one that nobody makes
    monkeypatch.setattr(generate, "FOLDER", tmp_path)
    generate.main([])
    with (tmp_path / "causes.md").open("a") as stream:
        stream.write("more\n")
    (tmp_path / "old.md").write_text("# Old\n")
    capsys.readouterr()

    # Then both are named
    assert generate.main(["--check"]) == 1
    assert re.findall(r"reference/(\w+\.md)", capsys.readouterr().out) == ["causes.md", "old.md"]

    # And writing puts both right
    generate.main([])
    assert not (tmp_path / "old.md").exists()
    assert "more" not in (tmp_path / "causes.md").read_text().splitlines()


def test_every_variable_that_the_program_reads_is_on_the_page_of_settings() -> None:
    sources = "\n".join(path.read_text() for path in (ROOT / "localrun").rglob("*.py"))
    names = set(re.findall(r"""environ(?:\.get\(|\[)"([A-Z_]+)\"""", sources))
    assert {"DOCKER_HOST", "NO_COLOR"} <= names
    page = generate.pages()["settings.md"]
    assert {name for name in names if f"`{name}`" not in page} == set()


def test_every_command_setting_cause_and_type_has_its_place_in_the_reference() -> None:
    import msgspec

    from localrun.cli.group import COMMANDS
    from localrun.descriptor.types import TYPES
    from localrun.errors import Cause
    from localrun.server.application import openapi_document
    from localrun.settings import Settings

    pages = generate.pages()
    for name in COMMANDS:
        assert f"### localrun {name}\n" in pages["commands.md"]
    for field in msgspec.structs.fields(Settings):
        assert f"| `LOCALRUN_{field.name.upper()}` |" in pages["settings.md"]
    for cause in Cause:
        assert f"## {cause}\n" in pages["causes.md"]
    for kind in TYPES:
        assert f"### {kind}\n" in pages["descriptor.md"]
    for path, methods in openapi_document()["paths"].items():
        for method in methods:
            assert f"### {method.upper()} {path}\n" in pages["http.md"]
