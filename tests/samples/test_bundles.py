"""The samples of each type come back as they went in; the broken ones say exactly what is wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from localrun import values
from localrun.app import App
from localrun.bundle import reader
from localrun.descriptor import read
from localrun.descriptor.types import TYPES
from localrun.engines.dockerd import DockerEngine
from localrun.errors import LocalrunError, Problem
from localrun.manager.request import Request
from localrun.settings import Settings
from localrun.task.record import TaskRecord
from localrun.values.digest import digest_folder
from tests.support.samples import remove_new_images, unexpected_outputs

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "samples"
TYPES_OF = sorted((SAMPLES / "types").glob("*/descriptor.yml"))
BROKEN = sorted(path.parent for path in SAMPLES.glob("broken-*/descriptor.yml"))
BASE = "localrun-base/busybox"


def named(path: Path) -> str:
    return path.parent.name if path.is_file() else path.name


@pytest.fixture(scope="module")
def app(classic_engine: DockerEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """Tasks on a real engine; the images of all samples are gone at the end."""
    home = tmp_path_factory.mktemp("samples")
    places = Settings(home=home / "tasks-of-samples", cache=home / "cache", ledger=home / "ledger.json")
    with remove_new_images(places.home):
        made = App(places, classic_engine)
        yield made
        made.manager.shutdown(0)


def told(app: App, sample: Path) -> dict[str, Any]:
    """What a user sees of a run that goes wrong; `ID` stands for the task's id."""
    given = values.load_values(sample / "inputs.json")
    try:
        task = app.manager.submit(Request(bundle=sample, values=given, build_args={"BASE_IMAGE": BASE}))
    except LocalrunError as error:
        return plain(of_error(error), sample)
    record = app.manager.wait(task)
    assert record is not None
    return plain(of_record(record), sample, task_id=record.id[:8])


def of_error(error: LocalrunError) -> dict[str, Any]:
    said = {"cause": str(error.cause), "message": error.message, "remedy": error.remedy}
    return {"state": None, **said, "problems": [str(problem) for problem in error.problems]}


def of_record(record: TaskRecord) -> dict[str, Any]:
    # what follows the first line of a failed build are the words of the builder
    is_build = record.cause == "IMAGE_BUILD_FAILED"
    return {
        "state": str(record.state),
        "cause": record.cause,
        "message": record.message.partition("\n")[0] if is_build else record.message,
        "remedy": record.remedy,
        "problems": [str(Problem.from_dict(problem)) for problem in record.problems],
    }


def plain(found: dict[str, Any], sample: Path, task_id: str = "ID") -> dict[str, Any]:
    """Without what is another thing on each machine and in each run."""
    text = json.dumps(found, ensure_ascii=False).replace(task_id, "ID")
    shown: dict[str, Any] = json.loads(text.replace(f"{sample}/", "").replace(str(sample), sample.name))
    return shown


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
    assert unexpected_outputs(folder, record.outputs) == []


def test_there_is_a_sample_of_every_type() -> None:
    found = {kind.type.id for path in TYPES_OF for kind in read(path.read_bytes()).inputs.values()}

    assert found == set(TYPES)


@pytest.mark.parametrize("path", TYPES_OF, ids=named)
def test_a_sample_of_a_type_pleases_app_engine(path: Path, tmp_path: Path) -> None:
    found = reader.read_bundle(path.parent, cache=tmp_path)

    assert found.warnings == ()


def test_no_two_samples_have_the_same_name() -> None:
    names = [read(path.read_bytes()).namespace for path in SAMPLES.glob("**/descriptor.yml") if fits(path)]

    assert len(set(names)) == len(names)


def fits(path: Path) -> bool:
    return path.parent.name not in ("broken-yaml", "broken-descriptor")


@pytest.mark.parametrize(
    "folder", [path.parent for path in SAMPLES.glob("*/examples/inputs")], ids=lambda path: path.parent.name
)
def test_the_example_inputs_of_a_sample_are_valid_and_those_of_its_file(folder: Path, tmp_path: Path) -> None:
    sample = folder.parent
    described = read((sample / "descriptor.yml").read_bytes())
    found = values.read_folder(folder / "inputs", described)
    assert (found.problems, found.unknown) == ((), ())
    values.provision(described, found.values, tmp_path / "one", copy=True)
    if (sample / "inputs.json").exists():
        values.provision(described, values.load_values(sample / "inputs.json"), tmp_path / "two", copy=True)
        assert digest_folder(tmp_path / "one").files == digest_folder(tmp_path / "two").files


def test_every_documented_sample_has_example_inputs() -> None:
    documented = {
        path.parent for path in SAMPLES.glob("*/README.md") if (path.parent / "descriptor.yml").exists()
    }
    assert {path.parent.parent for path in SAMPLES.glob("*/examples/inputs")} >= documented
