"""The patterns of `.dockerignore`, compared with those of the engine."""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from localrun.engines.context.files import BuildContext
from localrun.engines.context.patterns import InvalidPattern, Patterns, parse_lines
from localrun.engines.dockerd import DockerEngine
from localrun.errors import ImageError

# "files" are those of a context. "cases" are ignore files and the paths that `docker buildx build` 0.29
# left out of the image; null: it refused the file.
RECORDED = json.loads((Path(__file__).parents[2] / "data" / "dockerignore.json").read_text())


def write_tree(root: Path, files: list[str]) -> None:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text("")


def selected(root: Path) -> set[str]:
    return {file.path for file in BuildContext(root).files()} - {"Dockerfile", ".dockerignore"}


@pytest.fixture(scope="module")
def recorded_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("context")
    write_tree(root, RECORDED["files"])
    return root


@pytest.mark.parametrize(
    ("text", "left_out"), RECORDED["cases"], ids=[repr(row[0]) for row in RECORDED["cases"]]
)
def test_an_ignore_file_leaves_out_what_docker_leaves_out(
    recorded_tree: Path, text: str, left_out: list[str] | None
) -> None:
    ignore_file = recorded_tree / ".dockerignore"
    ignore_file.unlink(missing_ok=True)
    everything = selected(recorded_tree)
    ignore_file.write_bytes(text.encode())
    if left_out is None:
        with pytest.raises(ImageError, match=r"invalid pattern in .*\.dockerignore: '"):
            selected(recorded_tree)
    else:
        assert sorted(everything - selected(recorded_tree)) == left_out


@pytest.mark.parametrize("text", [row[0] for row in RECORDED["cases"] if row[1] is not None])
def test_the_portable_form_of_an_ignore_file_selects_the_same_files(recorded_tree: Path, text: str) -> None:
    (recorded_tree / ".dockerignore").write_bytes(text.encode())
    before = selected(recorded_tree)
    lines = BuildContext(recorded_tree).ignore_lines()
    (recorded_tree / ".dockerignore").write_text("\n".join(lines))
    assert selected(recorded_tree) == before


def test_characters_that_old_versions_of_docker_do_not_quote_are_in_classes() -> None:
    lines = parse_lines("a+b\n!(x)\n[+]{\n**foo\n**/foo\n../up\n\\+")
    assert Patterns(lines).portable_lines() == [
        "/a[+]b",
        "!/[(]x[)]",
        "/[+][{]",
        "/**/*foo",
        "/**/foo",
        "/\\+",
    ]


@pytest.mark.parametrize("pattern", ["[a", "[]a]", "[a-]", "[-a]", "[z-a]", "a\\", "!", "!/", r"\q"])
def test_a_pattern_that_docker_refuses_is_invalid(pattern: str) -> None:
    with pytest.raises(InvalidPattern, match=r"syntax error in pattern|illegal exclusion pattern"):
        Patterns(parse_lines(pattern))


@given(st.text(alphabet="ab*?[]^!-\\/.# +(){}|$é\n"))
def test_any_text_is_an_ignore_file_or_invalid(text: str) -> None:
    try:
        patterns = Patterns(parse_lines(text))
    except InvalidPattern:
        return
    patterns.excludes("a/b")


def test_a_path_below_an_excluded_folder_is_excluded() -> None:
    patterns = Patterns(["a", "!a/keep"])
    paths = ["a", "a/x", "a/keep", "a/keep/x"]
    assert [path for path in paths if patterns.excludes(path)] == ["a", "a/x"]


# -- the same against the engine --------------------------------------------------------------------

GROUP = ["a/b", "a/ab", "b", "ab", "a+b", "(p)", "d/a", "d/b/a", "d/b/ab", "*", "x^y", "#n", "!e", "{a,b}"]
NAMES = ["a", "b", "ab", "a+b", "(p)", "d", "x^y", r"\*", "#n", "!e", r"\!e", r"\#n", "{a,b}", "."]
GLOBS = ["*", "?", "[ab]", "[^a]", "[!a]", "[a-c]*", "**", "a*", "*b", "?b", "[*]", "[?]", "**b", "x^*"]
PATTERN = st.lists(st.sampled_from([*NAMES, *GLOBS]), min_size=1, max_size=3).map("/".join)
LITERAL = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map("/".join)
# Unlike BuildKit, docker's classic builder ignores exceptions such as `!**/b` below an excluded folder.
EXCEPTION = st.tuples(LITERAL, st.sampled_from(["", "/", "/*", "/**"])).map("".join)
LINE = st.tuples(st.just(""), PATTERN) | st.tuples(st.sampled_from(["!", " ! "]), EXCEPTION)
GROUPS = st.lists(st.lists(LINE, min_size=1, max_size=4), min_size=40, max_size=40)


@pytest.fixture(scope="module")
def image() -> Iterator[str]:
    name = f"localrun-test/ignored:{os.getpid()}"
    yield name
    subprocess.run(["docker", "rmi", "-f", name], capture_output=True, check=False)


def built(root: Path, image: str) -> set[str]:
    """Build an image of a context with the docker command, and return the files in it."""

    def docker(*command: str) -> str:
        environment = {**os.environ, "DOCKER_BUILDKIT": "0"}
        done = subprocess.run(
            ["docker", *command], capture_output=True, text=True, check=False, env=environment
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    (root / "Dockerfile").write_text("FROM scratch\nCOPY . /context/\n")
    docker("build", "-q", "-t", image, str(root))
    container = docker("create", image, "none")
    try:
        with tempfile.TemporaryDirectory() as folder:
            docker("export", "-o", f"{folder}/image.tar", container)
            with tarfile.open(f"{folder}/image.tar") as tar:
                names = [PurePosixPath(name) for name in tar.getnames()]
    finally:
        docker("rm", container)
        docker("rmi", image)
    below = {str(name.relative_to("context")) for name in names if name.parts[0] == "context"}
    return below - {".", "Dockerfile", ".dockerignore"}


@pytest.mark.docker
@settings(max_examples=2, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(groups=GROUPS)
def test_any_patterns_leave_out_what_the_engine_leaves_out(
    image: str, docker_engine: DockerEngine, groups: list[list[tuple[str, str]]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root, lines = Path(folder), []
        for number, group in enumerate(groups):
            write_tree(root / f"g{number}", GROUP)
            lines += [f"{sign}g{number}/{pattern}" for sign, pattern in group]
        (root / ".dockerignore").write_text("\n".join(lines))
        expected = built(root, image)
        found = selected(root)
        wrong = {path.split("/")[0] for path in found ^ expected}
        assert not wrong, [line for line in lines if line.strip(" !").split("/")[0] in wrong]
