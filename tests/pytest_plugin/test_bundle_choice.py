"""Several bundles in one repository: each test uses the one in or above its folder."""

from __future__ import annotations

import pytest

import localrun.pytest_plugin.fake  # noqa: F401 - what is imported before stays the same in the sessions within
from tests.support.environment import DESCRIPTOR

TEST = """
def test_own(fake_engine, localrun, localrun_bundle_path, request):
    fake_engine.plan(outputs={"sum": 7})
    folder = request.path.parent.name
    localrun(a=3, b=4)
    assert localrun.last.info.name == folder
    assert localrun_bundle_path.name == folder
"""
IMAGES = """
import pytest

@pytest.fixture(scope="session")
def localrun_docker():
    from localrun.pytest_plugin import ScriptedEngine
    return ScriptedEngine()

@pytest.fixture(autouse=True, scope="session")
def _images(localrun_docker):
    from localrun.pytest_plugin import bundle

    def ensure_image(source, *_args, **_options):
        print("made", source.folder.name)
        return localrun_docker.add_image("any:1")

    original, bundle.ensure_image = bundle.ensure_image, ensure_image
    yield
    bundle.ensure_image = original
"""


@pytest.fixture
def repository(pytester: pytest.Pytester) -> pytest.Pytester:
    """A root folder without a descriptor, and two bundles with a test each."""
    pytester.makeini("[pytest]\naddopts = -p no:cacheprovider --import-mode=importlib\n")
    for name in ("one", "two"):
        folder = pytester.mkdir(name)
        add_bundle(folder.parent / name, name)
        (folder / "test_own.py").write_text(TEST)
    return pytester


def add_bundle(folder: object, name: str) -> None:
    from pathlib import Path

    place = Path(str(folder))
    place.mkdir(exist_ok=True)
    (place / "descriptor.yml").write_text(DESCRIPTOR.replace("Add integers", name))
    (place / "Dockerfile").write_text("FROM nothing\n")


def test_each_test_uses_the_bundle_above_it(repository: pytest.Pytester) -> None:
    repository.runpytest().assert_outcomes(passed=2)
    repository.runpytest("two", "one").assert_outcomes(passed=2)


def test_each_bundle_is_prepared_once(repository: pytest.Pytester) -> None:
    repository.makeconftest(IMAGES)
    for name in ("one", "two"):
        (repository.path / name / "test_own.py").write_text(
            f"def test_first(localrun_bundle): assert localrun_bundle.descriptor.name == {name!r}\n"
            f"def test_second(localrun_bundle): assert localrun_bundle.path.name == {name!r}\n"
        )
    result = repository.runpytest("-s")
    result.assert_outcomes(passed=4)
    assert [result.stdout.str().count(f"made {name}") for name in ("one", "two")] == [1, 1]


def test_a_bundle_that_cannot_be_made_is_tried_once(repository: pytest.Pytester) -> None:
    failing = 'from localrun.errors import ImageError\n        raise ImageError("no luck")'
    repository.makeconftest(IMAGES.replace('return localrun_docker.add_image("any:1")', failing))
    (repository.path / "one" / "test_own.py").write_text(
        "def test_first(localrun_bundle): pass\ndef test_second(localrun_bundle): pass\n"
    )
    result = repository.runpytest("-s", "one")
    result.assert_outcomes(errors=2)
    assert result.stdout.str().count("made one") == 1


def test_folders_choose_their_bundles_with_a_fixture(repository: pytest.Pytester) -> None:
    for name in ("one", "two"):
        (repository.path / name / "descriptor.yml").unlink()
        add_bundle(repository.path / name / name, name)
        (repository.path / name / "conftest.py").write_text(
            "import pytest, pathlib\n"
            "@pytest.fixture(scope='session')\n"
            f"def localrun_bundle_path(): return pathlib.Path(__file__).parent / {name!r}\n"
        )
    for arguments in ((), ("one", "two")):
        repository.runpytest(*arguments).assert_outcomes(passed=2)


def test_a_bundle_of_the_root_folder_is_that_of_all_tests(repository: pytest.Pytester) -> None:
    add_bundle(repository.path, "root")
    (repository.path / "one" / "test_own.py").write_text(
        "def test_root(fake_engine, localrun_bundle_path, request):\n"
        "    assert localrun_bundle_path == request.config.rootpath\n"
    )
    repository.runpytest("one").assert_outcomes(passed=1)


@pytest.mark.parametrize("where", ["root", "conftest"])
def test_a_fixture_of_the_session_can_use_the_one_bundle(repository: pytest.Pytester, where: str) -> None:
    choice = ""
    if where == "root":
        add_bundle(repository.path, "root")
    else:
        choice = (
            "\n@pytest.fixture(scope='session')\n"
            "def localrun_bundle_path(pytestconfig): return pytestconfig.rootpath / 'one'\n"
        )
    repository.makeconftest(
        f"{IMAGES}{choice}\n@pytest.fixture(scope='session')\n"
        "def image(localrun_bundle): return localrun_bundle.image\n"
    )
    (repository.path / "one" / "test_own.py").write_text("def test_image(image): assert image\n")
    repository.runpytest("one").assert_outcomes(passed=1)


def test_no_bundle_names_the_folder_of_the_test(repository: pytest.Pytester) -> None:
    repository.mkdir("three").joinpath("test_own.py").write_text(TEST)
    result = repository.runpytest("three")
    result.stdout.fnmatch_lines(["*no descriptor.yml found in or above */three or *localrun_bundle_path*"])
