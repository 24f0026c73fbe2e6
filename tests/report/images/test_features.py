from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from localrun.engines.fake import FakeContainer
from localrun.report.images import features
from localrun.report.images.catalog import TaskCatalog
from tests.support.environment import make_environment
from tests.support.image_tasks import (
    HEIGHT,
    descriptor_text,
    find_squares,
    picture,
    save_image,
    square,
    write_array,
)

Program = Callable[[FakeContainer], int]


def run(
    folder: Path,
    program: Program = find_squares,
    *,
    inputs: dict[str, Any] | None = None,
    outputs: dict[str, Any] | None = None,
    values: dict[str, Any] | None = None,
) -> TaskCatalog:
    with make_environment(folder, program) as env:
        env.bundle.write_text(descriptor_text(inputs, outputs))
        given = {"image": Path(save_image(folder))} if values is None else values
        record = env.run(values=given)
        return TaskCatalog.of(record, env.app.store.open(record.id))


def rows_of(feature: dict[str, Any]) -> list[Any]:
    found: list[Any] = feature["geometry"]["coordinates"]
    return found


def test_geometries_are_counted_from_the_top_of_the_image_and_have_their_values(tmp_path: Path) -> None:
    found = features.collect_features(run(tmp_path), "inputs/image")
    first, second = found["features"]
    assert rows_of(first)[0][:2] == [[3, HEIGHT - 5], [7, HEIGHT - 5]]
    assert first["properties"] == {
        "parameter": "outputs/outlines",
        "label": "outputs.outlines[0]",
        "index": [0],
        "image": "inputs/image",
        "values": {"outputs.areas": 16},
    }
    assert second["properties"]["values"] == {"outputs.areas": 36}
    assert found["image"] == {"place": "inputs/image", "width": 40, "height": HEIGHT}
    assert found["y"] == "down"
    assert found["omitted"] == {"features": 0, "vertices": 0, "reasons": []}


def test_y_can_be_counted_upwards_as_on_the_platform(tmp_path: Path) -> None:
    found = features.collect_features(run(tmp_path), "outputs/mask", axis="up")
    assert rows_of(found["features"][0])[0][0] == [3, 5]
    assert features.collect_features(run(tmp_path))["y"] == "up"


def test_a_geometry_is_drawn_on_images_of_the_same_size_only(tmp_path: Path) -> None:
    def program(container: FakeContainer) -> int:
        find_squares(container)
        container.path("/outputs/mask").write_bytes(picture(20, 10))
        return 0

    catalog = run(tmp_path, program)
    assert features.collect_features(catalog, "outputs/mask")["features"] == []
    asked = features.collect_features(catalog, "outputs/mask", ["outputs/outlines"])
    assert len(asked["features"]) == 2


def test_nested_arrays_belong_to_their_images(tmp_path: Path) -> None:
    def program(container: FakeContainer) -> int:
        outputs = container.path("/outputs")
        write_array(outputs / "nuclei", [[square(1, 1)], [square(2, 2), square(3, 3)]])
        write_array(outputs / "scores", [[0.5], [0.25, 0.75]])
        return 0

    array = {"id": "array", "subtype": {"id": "array", "subtype": "geometry"}}
    outputs = {
        "nuclei": {"type": array, "dependencies": {"derived_from": "inputs/images"}},
        "scores": {"id": "array", "subtype": {"id": "array", "subtype": "number"}},
    }
    paths = []
    for number in range(2):
        path = tmp_path / f"{number}.png"
        path.write_bytes(picture(30 + number, 20))
        paths.append(path)
    catalog = run(
        tmp_path,
        program,
        inputs={"images": {"id": "array", "subtype": {"id": "image"}}},
        outputs=outputs,
        values={"images": paths},
    )
    assert list(catalog.images()) == ["inputs/images/0", "inputs/images/1"]
    found = features.collect_features(catalog, "inputs/images/1")["features"]
    assert [one["properties"]["label"] for one in found] == ["outputs.nuclei[1][0]", "outputs.nuclei[1][1]"]
    assert [one["properties"]["values"] for one in found] == [
        {"outputs.scores": 0.25},
        {"outputs.scores": 0.75},
    ]


def test_inputs_and_features_with_a_circle_are_drawn(tmp_path: Path) -> None:
    circle = {
        "type": "Feature",
        "geometry": {"type": "Point", "coordinates": [5, 6]},
        "properties": {"subType": "Circle", "radius": 2.5},
    }
    catalog = run(tmp_path, values={"image": Path(save_image(tmp_path)), "roi": circle})
    found = features.collect_features(catalog, "inputs/image")["features"][0]
    assert found["geometry"] == {"type": "Point", "coordinates": [5, HEIGHT - 6]}
    assert found["properties"]["parameter"] == "inputs/roi"
    assert (found["properties"]["subType"], found["properties"]["radius"]) == ("Circle", 2.5)


def test_the_region_of_a_crop_is_moved_to_the_whole_image(tmp_path: Path) -> None:
    annotation = square(10, 12, 8)
    value = {"file": Path(save_image(tmp_path)), "crop": annotation}

    def program(container: FakeContainer) -> int:
        outputs = container.path("/outputs")
        write_array(outputs / "outlines", [square(1, 1, 2)])
        write_array(outputs / "areas", [4])
        (outputs / "mask").write_bytes(picture(8, 8))
        return 0

    catalog = run(tmp_path, program, values={"image": value})
    assert list(catalog.images()) == ["inputs/image", "outputs/mask", "crops/image"]
    assert catalog.size("inputs/image") == (8, 8)
    whole = features.collect_features(catalog, "crops/image", axis="up")["features"]
    assert [one["properties"]["parameter"] for one in whole] == ["regions/image", "outputs/outlines"]
    assert rows_of(whole[0]) == annotation["coordinates"]
    assert rows_of(whole[1])[0][0] == [11, 13]
    cropped = features.collect_features(catalog, "inputs/image", axis="up")["features"]
    assert rows_of(cropped[1])[0][0] == [1, 1]


COLLECTION = {
    "type": "FeatureCollection",
    "features": [
        {"type": "Feature", "geometry": square(1, 2), "properties": {"class": "nucleus"}},
        {
            "type": "Feature",
            "geometry": {
                "type": "GeometryCollection",
                "geometries": [square(5, 6), {"type": "Point", "coordinates": [1, 2, 3]}],
            },
            "properties": None,
        },
    ],
}


def with_file(content: str) -> Program:
    def program(container: FakeContainer) -> int:
        find_squares(container)
        container.path("/outputs/found").write_text(content)
        return 0

    return program


FILE_OUTPUTS = {"found": {"id": "file"}, "mask": {"id": "image"}}


def test_a_file_with_a_collection_is_drawn_too(tmp_path: Path) -> None:
    catalog = run(tmp_path, with_file(json.dumps(COLLECTION)), outputs=FILE_OUTPUTS)
    found = features.collect_features(catalog, "inputs/image")
    assert [one["geometry"]["type"] for one in found["features"]] == ["Polygon", "Polygon", "Point"]
    assert found["features"][2]["geometry"]["coordinates"] == [1, HEIGHT - 2]


def test_a_file_with_anything_else_is_not_drawn(tmp_path: Path) -> None:
    catalog = run(tmp_path, with_file('{"results": [1, 2]}'), outputs=FILE_OUTPUTS)
    assert catalog.geometries() == []


def test_an_output_that_made_the_task_fail_is_drawn_as_far_as_it_is_valid(tmp_path: Path) -> None:
    def program(container: FakeContainer) -> int:
        find_squares(container)
        container.path("/outputs/outlines/1").write_text('{"type": "Polygon", "coordinates": [["x"]]}')
        return 0

    catalog = run(tmp_path, program)
    assert catalog.record.state == "FAILED"
    found = features.collect_features(catalog, "inputs/image")
    assert len(found["features"]) == 1
    assert found["omitted"]["features"] == 1
    assert found["omitted"]["reasons"] == ["1 feature: invalid coordinates"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param('{"type": "Point", "coordinates": [1, 1e400]}', "not valid JSON", id="infinite"),
        pytest.param('{"type": "Point", "coordinates": [1, "2"]}', "invalid coordinates", id="text"),
        pytest.param('{"type": "Point", "coordinates": [1, true]}', "invalid coordinates", id="boolean"),
        pytest.param('{"type": "LineString", "coordinates": 7}', "invalid coordinates", id="number"),
        pytest.param('{"type": "Feature", "geometry": null}', "not a geometry of GeoJSON", id="nothing"),
        pytest.param('{"coordinates": ' + "[" * 5000 + "]" * 5000 + "}", "nested too deeply", id="deep"),
        pytest.param(
            '{"type":"GeometryCollection","geometries":[' * 40 + "]}" * 40,
            "nested too deeply",
            id="collections",
        ),
    ],
)
def test_hostile_geometries_are_left_out_and_counted(tmp_path: Path, content: str, reason: str) -> None:
    catalog = run(tmp_path, with_file(content), outputs=FILE_OUTPUTS)
    found = features.collect_features(catalog, "inputs/image")
    assert found["features"] == []
    assert reason in found["omitted"]["reasons"][0]


def test_a_geometry_with_very_many_vertices_is_simplified(tmp_path: Path) -> None:
    points = ",".join(f"[{number % 1000},{number // 1000}]" for number in range(200_000))
    content = f'{{"type": "LineString", "coordinates": [{points}]}}'
    catalog = run(tmp_path, with_file(content), outputs=FILE_OUTPUTS)
    found = features.collect_features(catalog, "inputs/image")
    kept = len(rows_of(found["features"][0]))
    assert 25_000 < kept <= 50_001
    assert found["features"][0]["properties"]["simplified"] is True
    assert found["omitted"]["vertices"] == 200_000 - kept


def test_more_geometries_than_the_limit_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "MAX_VERTICES", 8)
    found = features.collect_features(run(tmp_path), "inputs/image")
    assert len(found["features"]) == 2
    monkeypatch.setattr(features, "MAX_VERTICES", 5)
    found = features.collect_features(run(tmp_path), "inputs/image")
    assert len(found["features"]) == 1
    assert found["omitted"]["features"] == 1


def test_a_ring_that_is_thinned_stays_closed() -> None:
    ring = [[number, number**2] for number in range(100)] + [[0, 0]]
    thinned = features._thinned(ring, 10)
    assert len(thinned) == 11
    assert thinned[0] == thinned[-1]


def test_no_file_outside_of_the_task_is_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret.geojson"
    secret.write_text(json.dumps(square(1, 1)))

    def program(container: FakeContainer) -> int:
        find_squares(container)
        container.path("/outputs/found").unlink(missing_ok=True)
        container.path("/outputs/found").symlink_to(secret)
        container.path("/outputs/mask").unlink()
        container.path("/outputs/mask").symlink_to(tmp_path / "scan.png")
        return 0

    catalog = run(tmp_path, program, outputs=FILE_OUTPUTS)
    assert catalog.geometries() == []
    assert catalog.size("outputs/mask") is None


def test_a_task_without_a_container_has_no_images(tmp_path: Path) -> None:
    with make_environment(tmp_path) as env:
        record = env.app.manager.create_task({"job": 1}, "ray").record
        catalog = TaskCatalog.of(record, env.app.store.open(record.id))
        assert list(catalog.images()) == []
        assert catalog.geometries() == []
