"""Outputs of every type as inputs of every type that they match: values, files, arrays, images, folders."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from localrun.engines.fake import FakeContainer
from localrun.errors import InputsError
from localrun.task.active import ActiveTask
from localrun.task.record import TaskRecord
from localrun.task.states import TaskState
from localrun.values.references import TaskOutput
from tests.support.environment import DESCRIPTOR, Environment, make_environment
from tests.support.rasters import gradient, save_slide

HEAD = DESCRIPTOR[: DESCRIPTOR.index("inputs:\n")]
TYPES = {
    "count": "integer",
    "ratio": "number",
    "word": "string",
    "mask": "image",
    "table": "file",
    "cell": "geometry",
    "counts": "{id: array, size: {min: 1, max: 9}, subtype: integer}",
    "masks": "{id: array, size: {min: 1, max: 9}, subtype: image}",
}
GEOMETRY = {"type": "Polygon", "coordinates": [[[0, 0], [4, 0], [4, 4], [0, 0]]]}


def png() -> bytes:
    stream = io.BytesIO()
    Image.new("L", (4, 4)).save(stream, "PNG")
    return stream.getvalue()


PIXELS = png()
START = repr(PIXELS[:12])


def described(section: str) -> str:
    """Return the parameters of a section; inputs are optional."""
    optional = ", optional: true" if section == "inputs" else ""
    rows = (
        f"  {name}: {{type: {kind}, description: d, display_name: {name}{optional}}}\n"
        for name, kind in TYPES.items()
    )
    return f"{section}:\n{''.join(rows)}"


def write_all(container: FakeContainer) -> int:
    """Write each output, or copy the inputs that there are to the outputs."""
    out = container.path("/outputs")
    given = container.path("/inputs")
    (out / "count").write_text("5")
    (out / "ratio").write_text("0.5")
    (out / "word").write_text("five")
    if (given / "word").exists() and (given / "word").read_text() == "slide":
        save_slide(out / "mask", gradient(64, 64), tile=64)
    else:
        (out / "mask").write_bytes(PIXELS)
    (out / "table").write_bytes(b"a;b\n")
    (out / "cell").write_text(json.dumps(GEOMETRY))
    for name, items in {"counts": [b"1", b"2"], "masks": [PIXELS, PIXELS]}.items():
        (out / name).mkdir()
        (out / name / "array.yml").write_text(f"size: {len(items)}")
        for index, item in enumerate(items):
            (out / name / str(index)).write_bytes(item)
    for path in sorted(given.rglob("*")):
        if path.is_file():  # an empty one, over which the file is mounted
            name = str(path.relative_to(given))
            container.stdout.write(f"{name} {container.path(f'/inputs/{name}').read_bytes()[:12]!r}\n")
    return 0


@pytest.fixture
def env(tmp_path: Path) -> Iterator[Environment]:
    with make_environment(tmp_path, write_all) as env:
        env.bundle.write_text(HEAD + described("inputs") + described("outputs"))
        yield env


def seen(env: Environment, task: ActiveTask) -> dict[str, str]:
    """Return the input files that the program of a finished task has seen."""
    record = env.app.manager.wait(task, 60)
    assert record is not None
    assert record.state is TaskState.FINISHED, record.message
    log = env.app.store.open(task.id).log.read_text()
    rows = [line.split(" ", 1) for line in log.splitlines() if "b'" in line]
    return {row[0].split("\t")[-1].split()[-1]: row[1] for row in rows}


MATCHING: list[tuple[dict[str, Any], dict[str, str]]] = [
    ({name: name for name in TYPES}, {"count": "b'5'", "masks/1": START, "counts/1": "b'2'"}),
    (
        {"ratio": "count", "word": "ratio", "table": "count"},
        {"ratio": "b'5'", "word": "b'0.5'", "table": "b'5'"},
    ),
    ({"mask": "masks/1", "count": "counts/1"}, {"mask": repr(PIXELS[:12]), "count": "b'2'"}),
    (
        {"masks": "mask", "table": "cell"},
        {"masks/0": repr(PIXELS[:12]), "table": repr(json.dumps(GEOMETRY).encode()[:12])},
    ),
]


@pytest.mark.parametrize(("names", "files"), MATCHING)
def test_an_output_is_an_input_of_each_type_that_it_matches(
    env: Environment, names: dict[str, str], files: dict[str, str]
) -> None:
    first = env.submit()
    given = {name: TaskOutput(first.id, output) for name, output in names.items()}
    tasks = [env.submit(values=given)]
    env.app.manager.wait(first)
    tasks.append(env.submit(assignments=[f"{name}=@task:last/{output}" for name, output in names.items()]))
    for task in tasks:
        found = seen(env, task)
        assert {name: found[name] for name in files} == files
        assert task.record.sources.keys() == names.keys()


def test_an_item_of_an_array_may_be_an_output_and_others_files(env: Environment, tmp_path: Path) -> None:
    first = env.submit()
    (tmp_path / "own.png").write_bytes(PIXELS)
    pairs = [f"masks=@{tmp_path}/own.png", f"masks=@task:{first.id}/mask", "counts=[7, 8]"]
    second = env.submit(assignments=pairs)
    (tmp_path / "values.json").write_text(
        json.dumps({"masks": ["@own.png", {"task": first.id, "output": "masks/0"}, f"@task:{first.id}/mask"]})
    )
    from localrun.values import load_values

    third = env.submit(values=load_values(tmp_path / "values.json"))
    assert set(seen(env, second)) >= {"masks/0", "masks/1", "counts/0"}
    assert second.record.source_rows == [f"masks/1: from task {first.short_id}/mask"]
    assert set(seen(env, third)) >= {"masks/0", "masks/1", "masks/2"}


def test_an_image_with_a_region_waits_with_it(env: Environment, tmp_path: Path) -> None:
    first = env.submit()
    second = env.submit(values={"mask": {"file": TaskOutput(first.id, "mask"), "region": GEOMETRY}})
    (tmp_path / "own.png").write_bytes(PIXELS)
    pairs = [f"mask=@{tmp_path}/own.png", f"mask.geojson=@task:{first.id}/cell"]
    third = env.submit(assignments=pairs)
    for task in (second, third):
        assert {"mask", "mask.geojson"} <= seen(env, task).keys()
        assert task.record.regions == {"mask": GEOMETRY}
    assert third.record.sources.keys() == {"mask.geojson"}


def test_a_slide_in_a_folder_is_an_input(env: Environment) -> None:
    first = env.submit(values={"word": "slide"})
    second = env.submit(values={"mask": TaskOutput(first.id, "mask")})
    assert {name for name in seen(env, second) if name.startswith("mask/")}


@pytest.mark.parametrize(
    ("name", "output", "message"),
    [
        ("mask", "count", "expected an image, but output 'count' of task {} is an integer"),
        ("count", "ratio", "expected an integer, but output 'ratio' of task {} is a number"),
        ("count", "masks", "expected an integer, but output 'masks' of task {} is an array of image"),
        (
            "counts",
            "masks",
            "expected an array of integer, but output 'masks' of task {} is an array of image",
        ),
        ("masks", "counts/0", "expected an array of image, but output 'counts/0' of task {} is an integer"),
        ("mask", "mask/0", "output 'mask' of task {} has no item '0'"),
        ("mask", "mesk", "task {} has no output 'mesk'"),
    ],
)
def test_a_type_that_does_not_match_is_refused_at_submission(
    env: Environment, name: str, output: str, message: str
) -> None:
    first = env.submit()
    with pytest.raises(InputsError) as caught:
        env.submit(values={name: TaskOutput(first.id, output)})
    (problem,) = caught.value.problems
    assert (problem.path, problem.message) == (f"inputs.{name}", message.format(first.short_id))
    assert problem.remedy


def test_a_value_that_violates_a_constraint_fails_the_waiting_task(env: Environment) -> None:
    first = env.submit()
    env.bundle.write_text(
        env.bundle.read_text().replace("count: {type: integer", "count: {type: {id: integer, lt: 3}", 1)
    )
    record = ended(env, env.submit(values={"count": TaskOutput(first.id, "count")}))
    assert (record.cause, record.problems[0]["path"]) == ("DEPENDENCY_FAILED", "inputs.count")
    assert record.message == f"an output is not valid as an input of this task: task {first.short_id}/count"


def test_an_item_that_an_array_does_not_have_fails_the_waiting_task(env: Environment) -> None:
    first = env.submit()
    record = ended(env, env.submit(values={"mask": TaskOutput(first.id, "masks/2")}))
    assert record.message == f"output 'masks' of task {first.short_id} has no item 2: it has 2"


def ended(env: Environment, task: ActiveTask) -> TaskRecord:
    record = env.app.manager.wait(task, 60)
    assert record is not None
    return record
