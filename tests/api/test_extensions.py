from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from localrun.api.download import OutputCopier
from localrun.api.extensions import extension_of
from localrun.descriptor.types import File, Integer
from localrun.engines.fake import FakeContainer
from tests.support import image_files
from tests.support.environment import make_environment
from tests.support.image_tasks import descriptor_text, find_squares, picture, save_image, square, write_array


def copy(folder: Path, program: Any, outputs: dict[str, Any] | None = None, **options: Any) -> OutputCopier:
    """Run a task and copy its outputs with extensions to the folder `out`."""
    with make_environment(folder, program) as env:
        env.bundle.write_text(descriptor_text(None, outputs))
        record = env.run(values={"image": Path(save_image(folder))})
        copier = OutputCopier(folder / "out", extensions=True, **options)
        copier.copy(record, env.app.store.open(record.id))
        return copier


def tree(folder: Path) -> list[str]:
    return [str(path.relative_to(folder)) for path in sorted(folder.rglob("*")) if path.is_file()]


def writes(**contents: Any) -> Any:
    def program(container: FakeContainer) -> int:
        for name, content in contents.items():
            place = container.path("/outputs") / name
            if isinstance(content, list):
                write_array(place, content)
            else:
                place.write_bytes(content)
        return 0

    return program


def array(subtype: Any) -> dict[str, Any]:
    return {"id": "array", "subtype": subtype}


def test_a_mask_gets_its_extension_and_outlines_become_one_collection(tmp_path: Path) -> None:
    copier = copy(tmp_path, find_squares)
    out = tmp_path / "out"
    assert tree(out) == [
        "areas/0.txt",
        "areas/1.txt",
        "areas/array.yml",
        "mask.png",
        "outlines.geojson",
    ]
    found = json.loads((out / "outlines.geojson").read_text())
    assert found == {
        "type": "FeatureCollection",
        "features": [
            {"type": "Feature", "geometry": square(3, 5), "properties": {"index": 0, "areas": 16}},
            {"type": "Feature", "geometry": square(20, 10, 6), "properties": {"index": 1, "areas": 36}},
        ],
    }
    assert copier.outputs["mask"] == str(out / "mask.png")
    assert copier.outputs["outlines"] == str(out / "outlines.geojson")
    assert copier.outputs["areas"] == [16, 36]
    assert copier.warnings == []


def test_a_geometry_keeps_every_digit_and_every_property(tmp_path: Path) -> None:
    item = b'{"type": "Point", "coordinates": [1.0, 0.10000000000000000555], "bbox": [1E0, 2, 3, 4]}\n'
    feature = {
        "type": "Feature",
        "id": "a",
        "geometry": square(1, 2),
        "properties": {"index": "own", "subType": "Rectangle"},
    }
    copy(tmp_path, writes(found=[item, feature]), {"found": array("geometry")})
    text = (tmp_path / "out/found.geojson").read_bytes()
    assert item.strip() in text
    second = json.loads(text)["features"][1]
    assert second == {**feature, "properties": {"index": "own", "subType": "Rectangle"}}


def test_nested_geometries_have_their_whole_index(tmp_path: Path) -> None:
    outputs = {"nuclei": array(array("geometry")), "scores": array(array("number"))}
    nuclei = [[square(1, 1)], [], [square(2, 2), square(3, 3)]]
    copy(tmp_path, writes(nuclei=nuclei, scores=[[0.5], [], [1, 2]]), outputs)
    found = json.loads((tmp_path / "out/nuclei.geojson").read_text())["features"]
    assert [one["properties"] for one in found] == [
        {"index": [0, 0], "scores": 0.5},
        {"index": [2, 0], "scores": 1},
        {"index": [2, 1], "scores": 2},
    ]
    assert [one["geometry"] for one in found] == [square(1, 1), square(2, 2), square(3, 3)]


def test_an_empty_array_of_geometries_is_an_empty_collection(tmp_path: Path) -> None:
    copy(tmp_path, writes(found=[]), {"found": array("geometry")})
    found = json.loads((tmp_path / "out/found.geojson").read_text())
    assert found == {"type": "FeatureCollection", "features": []}


def test_items_of_arrays_get_the_extension_of_their_content(tmp_path: Path) -> None:
    stream = io.BytesIO()
    Image.new("L", (5, 4)).save(stream, "JPEG")
    outputs = {"masks": array({"id": "image"}), "files": array(array("file"))}
    copier = copy(
        tmp_path,
        writes(masks=[picture(), stream.getvalue()], files=[[b"a,b\n1,2\n"], [b"\x00\x01", b"{}"]]),
        outputs,
    )
    assert tree(tmp_path / "out") == [
        "files/0/0.txt",
        "files/0/array.yml",
        "files/1/0",
        "files/1/1.json",
        "files/1/array.yml",
        "files/array.yml",
        "masks/0.png",
        "masks/1.jpg",
        "masks/array.yml",
    ]
    out = tmp_path / "out"
    assert copier.outputs["masks"] == [str(out / "masks/0.png"), str(out / "masks/1.jpg")]
    assert copier.outputs["files"] == [
        [str(out / "files/0/0.txt")],
        [str(out / "files/1/0"), str(out / "files/1/1.json")],
    ]


def test_an_item_is_not_renamed_to_a_file_that_the_task_wrote(tmp_path: Path) -> None:
    def program(container: FakeContainer) -> int:
        write_array(container.path("/outputs/masks"), [picture()])
        container.path("/outputs/masks/0.png").write_bytes(b"of the task")
        return 0

    copier = copy(tmp_path, program, {"masks": array({"id": "image"})})
    out = tmp_path / "out"
    assert (out / "masks/0").read_bytes() == picture()
    assert (out / "masks/0.png").read_bytes() == b"of the task"
    assert copier.warnings == ["masks/0 was not renamed: the task also wrote masks/0.png"]


def test_what_is_no_geometry_stays_a_folder_and_nothing_is_lost(tmp_path: Path) -> None:
    def program(container: FakeContainer) -> int:
        write_array(container.path("/outputs/found"), [square(1, 1), b"no JSON"])
        write_array(container.path("/outputs/more"), [square(1, 1)])
        container.path("/outputs/more/notes").write_text("text")
        return 0

    outputs = {"found": array("geometry"), "more": array("geometry")}
    copier = copy(tmp_path, program, outputs)
    assert tree(tmp_path / "out") == [
        "found/0.geojson",
        "found/1.txt",
        "found/array.yml",
        "more/0.geojson",
        "more/array.yml",
        "more/notes",
    ]
    assert copier.warnings == [
        "found stays a folder: 1 is not GeoJSON",
        "more stays a folder: it also has notes",
    ]


def test_a_second_copy_replaces_the_first_and_an_older_one_is_reported(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mask.jpg").write_bytes(b"older")
    copier = copy(tmp_path, find_squares)
    copier = copy(tmp_path, find_squares)
    assert "mask.png" in tree(tmp_path / "out")
    assert copier.warnings == [
        f"{tmp_path / 'out'} also has mask.jpg, which may be an older copy of mask",
    ]


@pytest.mark.parametrize(
    ("content", "extension"),
    [
        pytest.param(image_files.tiff(), ".tif", id="tiff"),
        pytest.param(image_files.tiff(big=True), ".tif", id="bigtiff"),
        pytest.param(image_files.dicom(), ".dcm", id="dicom"),
        pytest.param(image_files.slide(), ".zip", id="zip"),
        pytest.param(json.dumps(square(1, 2)).encode(), ".geojson", id="geojson"),
        pytest.param(b'{"type": "car"}', ".json", id="json"),
        pytest.param(b"[1, 2]\n", ".json", id="list"),
        pytest.param(b"[not JSON", ".txt", id="text"),
        pytest.param("é\n".encode(), ".txt", id="utf-8"),
        pytest.param(b"", "", id="empty"),
        pytest.param(b"\x00\x01\x02", "", id="binary"),
    ],
)
def test_a_file_gets_the_extension_of_its_content(tmp_path: Path, content: bytes, extension: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    assert extension_of(File(), path) == extension
    assert extension_of(Integer(), path) == ".txt"


def test_extensions_are_an_option_of_the_python_api(tmp_path: Path) -> None:
    from localrun import Task, using

    with make_environment(tmp_path, find_squares) as env, using(env.app):
        env.bundle.write_text(descriptor_text())
        record = env.run(values={"image": Path(save_image(tmp_path))})
        folder = Task(record.id, env.app.settings.home).download_outputs(
            ["mask"], tmp_path / "named", extensions=True
        )
    assert tree(folder) == ["mask.png"]
