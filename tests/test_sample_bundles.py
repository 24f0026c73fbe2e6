"""The samples of each type come back as they went in; the broken ones say exactly what is wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from localrun import bundle, values
from localrun.app import App
from localrun.datatypes import TYPES
from localrun.descriptor import read
from localrun.engines.dockerd import DockerEngine
from localrun.errors import LocalrunError
from localrun.request import Request
from localrun.settings import Settings
from tests.gallery import no_image_stays

ROOT = Path(__file__).parent.parent
SAMPLES = ROOT / "samples"
TYPES_OF = sorted((SAMPLES / "types").glob("*/descriptor.yml"))
BROKEN = sorted(path.parent for path in SAMPLES.glob("broken-*/descriptor.yml"))
BASE = "localrun-base/busybox"


def named(path: Path) -> str:
    return path.parent.name if path.is_file() else path.name


@pytest.fixture(scope="module")
def app(docker_engine: DockerEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """Tasks on a real engine; the images of all samples are gone at the end."""
    home = tmp_path_factory.mktemp("samples")
    places = Settings(home=home / "tasks-of-samples", cache=home / "cache", ledger=home / "ledger.json")
    with no_image_stays(places.home):
        made = App(places, docker_engine)
        yield made
        made.manager.shutdown(0)


def told(app: App, sample: Path) -> dict[str, Any]:
    """What a user sees of a run that goes wrong."""
    try:
        request = Request(
            bundle=sample,
            values=values.load_values(sample / "inputs.json"),
            build_args={"BASE_IMAGE": BASE},
        )
        record = app.manager.wait(app.manager.submit(request))
    except LocalrunError as error:
        found: dict[str, Any] = {
            "state": None,
            "cause": str(error.cause),
            "message": error.message,
            "remedy": error.remedy,
            "problems": [str(problem) for problem in error.problems],
        }
    else:
        assert record is not None
        problems = [": ".join([one["path"], one["message"]]) for one in record.problems]
        remedies = [one.get("remedy", "") for one in record.problems]
        found = {
            "state": str(record.state),
            "cause": record.cause,
            "message": record.message,
            "remedy": record.remedy,
            "problems": [f"{text}; {remedy}" for text, remedy in zip(problems, remedies, strict=True)],
        }
    if found["cause"] == "IMAGE_BUILD_FAILED":  # what follows are the words of the builder
        found["message"] = found["message"].partition("\n")[0]
    text = json.dumps(found, ensure_ascii=False)
    plain: dict[str, Any] = json.loads(text.replace(f"{sample}/", "").replace(str(sample), sample.name))
    return plain


@pytest.mark.docker
@pytest.mark.parametrize("sample", BROKEN, ids=named)
def test_a_broken_sample_says_exactly_what_is_wrong(app: App, sample: Path) -> None:
    assert told(app, sample) == json.loads((sample / "expected.json").read_text())


@pytest.mark.docker
@pytest.mark.parametrize("path", TYPES_OF, ids=named)
def test_a_sample_of_a_type_gives_what_it_expects(app: App, path: Path) -> None:
    # When the folder is run as it is
    folder = path.parent
    given = values.load_values(folder / "inputs.json")
    request = Request(bundle=folder, values=given, build_args={"BASE_IMAGE": BASE})
    record = app.manager.wait(app.manager.submit(request))

    # Then it finishes, and its outputs are the expected ones
    assert record is not None
    assert (record.state, record.problems) == ("FINISHED", []), record.message
    want = json.loads((folder / "expected.json").read_text())
    assert comparable(record.outputs, Path("/")) == comparable(want, folder)


def comparable(value: Any, folder: Path) -> Any:
    """A value, with what is in its files in place of their names; files of JSON as what they say."""
    if isinstance(value, dict):
        return {name: comparable(item, folder) for name, item in value.items()}
    if isinstance(value, list):
        return [comparable(item, folder) for item in value]
    if not isinstance(value, str) or not value.startswith(("@", "/")):
        return value
    path = folder / value.removeprefix("@")
    if path.is_dir():
        return {inner.name: inner.read_bytes() for inner in path.iterdir()}
    return path.read_bytes().strip()


def test_there_is_a_sample_of_every_type() -> None:
    found = {kind.type.id for path in TYPES_OF for kind in read(path.read_bytes()).inputs.values()}

    assert found == set(TYPES)


@pytest.mark.parametrize("path", TYPES_OF, ids=named)
def test_a_sample_of_a_type_pleases_app_engine(path: Path, tmp_path: Path) -> None:
    found = bundle.read(path.parent, cache=tmp_path)

    assert found.warnings == ()


def test_no_two_samples_have_the_same_name() -> None:
    names = [read(path.read_bytes()).namespace for path in SAMPLES.glob("**/descriptor.yml") if fits(path)]

    assert len(set(names)) == len(names)


def fits(path: Path) -> bool:
    return path.parent.name not in ("broken-yaml", "broken-descriptor")
