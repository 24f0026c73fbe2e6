from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from localrun.engines.fake import FakeContainer
from localrun.server import image_cache
from localrun.values.rasters import raster
from tests.support import image_files
from tests.support.html_check import StaticPage
from tests.support.image_tasks import HEIGHT, WIDTH, descriptor_text, find_squares, picture, save_image
from tests.support.rasters import gradient, save_dicom, save_slide, tiff_bytes
from tests.support.server_client import ServerEnvironment, serve_environment


@contextmanager
def ended_task(
    folder: Path, output: Any = None, image: bytes | None = None
) -> Iterator[tuple[ServerEnvironment, str]]:
    """Serve a task with images. `output` replaces its mask: bytes, or a function that writes it."""

    def program(container: FakeContainer) -> int:
        find_squares(container)
        mask = container.path("/outputs/mask")
        if callable(output):
            mask.unlink()
            output(mask)
        elif output is not None:
            mask.write_bytes(output)
        return 0

    with serve_environment(folder, program) as env:
        env.env.bundle.write_text(descriptor_text())
        task_id = env.run(image=save_image(folder, image))
        env.wait(task_id)
        yield env, f"/task/{task_id}"


def pixels_of(response: Any) -> Any:
    assert response.status_code == 200, response.text
    return np.asarray(Image.open(io.BytesIO(response.content)))


def test_the_images_of_a_task_are_listed_with_their_geometries(tmp_path: Path) -> None:
    with ended_task(tmp_path) as (env, path):
        found = env.client.get(f"{path}/images").json()
    assert found["images"][0] == {
        "place": "inputs/image",
        "label": "inputs.image",
        "url": f"{path}/inputs/image",
        "width": WIDTH,
        "height": HEIGHT,
    }
    assert [one["place"] for one in found["images"]] == ["inputs/image", "outputs/mask"]
    assert found["geometries"] == [{"parameter": "outputs/outlines", "count": 2, "images": ["inputs/image"]}]
    assert found["omitted"] == 0


def test_an_image_is_described(tmp_path: Path) -> None:
    with ended_task(tmp_path) as (env, path):
        found = env.client.get(f"{path}/inputs/image/image").json()
    assert found["levels"] == [{"level": 0, "scale": 1, "width": 40, "height": 30, "columns": 1, "rows": 1}]
    assert found["geometries"] == [{"parameter": "outputs/outlines", "count": 2, "offset": [0, 0]}]
    assert (found["format"], found["color"], found["bits"], found["range"]) == ("png", "gray", 8, None)
    assert (found["pyramid"], found["notes"], found["tile_size"]) == ([[40, 30]], [], 512)


def test_a_preview_is_scaled_down_and_never_enlarged(tmp_path: Path) -> None:
    with ended_task(tmp_path, picture(400, 200)) as (env, path):
        response = env.client.get(f"{path}/outputs/mask/preview?max=100")
        assert pixels_of(response).shape == (50, 100)
        assert pixels_of(env.client.get(f"{path}/outputs/mask/preview?max=1024")).shape == (200, 400)
        assert env.client.get(f"{path}/outputs/mask/preview?max=5").status_code == 422
        assert env.client.get(f"{path}/outputs/mask/preview?size=50").status_code == 422
    assert response.headers["content-type"] == "image/png"
    assert response.headers["x-content-type-options"] == "nosniff"


def test_a_view_is_not_sent_again_until_the_file_changes(tmp_path: Path) -> None:
    with ended_task(tmp_path) as (env, path):
        first = env.client.get(f"{path}/outputs/mask/preview")
        tag = {"If-None-Match": first.headers["etag"]}
        again = env.client.get(f"{path}/outputs/mask/preview", headers=tag)
        assert (again.status_code, again.content) == (304, b"")
        other = env.client.get(f"{path}/outputs/mask/preview?high=90", headers=tag)
        assert other.status_code == 200
        (env.site.app.store.open(path.removeprefix("/task/")).outputs / "mask").write_bytes(picture(11, 12))
        assert pixels_of(env.client.get(f"{path}/outputs/mask/preview", headers=tag)).shape == (12, 11)


def test_tiles_of_a_large_image_are_read_without_decoding_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(raster, "MAX_READ", 1024 * 1024)
    pixels = gradient(2600, 1250)
    with ended_task(tmp_path, tiff_bytes(pixels, tile=256)) as (env, path):
        found = env.client.get(f"{path}/outputs/mask/image").json()
        tile = pixels_of(env.client.get(f"{path}/outputs/mask/tile?level=0&x=3&y=2"))
        preview = env.client.get(f"{path}/outputs/mask/preview")
    assert [one["level"] for one in found["levels"]] == [0, 1]
    assert found["notes"] == ["the whole image is too large to be shown at once; it has no lower resolutions"]
    assert (tile == pixels[1024:1250, 1536:2048]).all()
    assert preview.status_code == 415
    assert "pyramid" in preview.json()["hint"]


@pytest.mark.parametrize("query", ["level=9&x=0&y=0", "level=0&x=1&y=0", "level=0&x=0&y=99"])
def test_a_tile_that_does_not_exist_is_not_found(tmp_path: Path, query: str) -> None:
    with ended_task(tmp_path) as (env, path):
        assert env.client.get(f"{path}/outputs/mask/tile?{query}").status_code == 404
        assert env.client.get(f"{path}/outputs/mask/tile?level=0&x=-1&y=0").status_code == 422


def test_16_bits_are_shown_with_their_range_or_one_that_is_asked_for(tmp_path: Path) -> None:
    pixels = np.full((20, 20), 1000, "u2")
    pixels[:5], pixels[5:10] = 3000, 2000
    with ended_task(tmp_path, tiff_bytes(pixels, tile=16)) as (env, path):
        found = env.client.get(f"{path}/outputs/mask/image").json()
        usual = pixels_of(env.client.get(f"{path}/outputs/mask/preview"))
        asked = pixels_of(env.client.get(f"{path}/outputs/mask/preview?low=2000&high=2500"))
    assert (found["bits"], found["range"]) == (16, {"low": 1000, "high": 3000, "from": "data"})
    assert [int(usual[row, 0]) for row in (0, 7, 15)] == [255, 128, 0]
    assert [int(asked[row, 0]) for row in (0, 7, 15)] == [255, 0, 0]


def test_the_frames_and_channels_of_an_image_are_shown(tmp_path: Path) -> None:
    pages = [gradient(60, 50), 255 - gradient(60, 50)]
    with ended_task(tmp_path, tiff_bytes(pages)) as (env, path):
        mask = f"{path}/outputs/mask"
        found = env.client.get(f"{mask}/image?frame=1&channel=2").json()
        tile = pixels_of(env.client.get(f"{mask}/tile?level=0&x=0&y=0&frame=1"))
        channel = pixels_of(env.client.get(f"{mask}/preview?frame=1&channel=2"))
        missing = env.client.get(f"{mask}/preview?frame=2")
        invalid = env.client.get(f"{mask}/image?frame=-1")
    assert (found["frames"], found["channels"], found["color"]) == (2, 3, "gray")
    assert (tile == pages[1]).all()
    assert (channel == pages[1][..., 2]).all()
    assert (missing.status_code, missing.json()["detail"]) == (404, "The image has no frame 2, only 2")
    assert invalid.status_code == 422


def test_dicom_files_and_slides_are_shown(tmp_path: Path) -> None:
    def write_slide(mask: Path) -> None:
        save_slide(mask, gradient())

    source = save_dicom(tmp_path / "ct.dcm", gradient(60, 50, channels=1, dtype="u2"))
    with ended_task(tmp_path, write_slide, image=source.read_bytes()) as (env, path):
        assert env.client.get(f"{path}/inputs/image/image").json()["format"] == "dicom"
        assert pixels_of(env.client.get(f"{path}/inputs/image/preview")).shape == (50, 60)
        listed = env.client.get(f"{path}/images").json()["images"]
        assert [(one["width"], one["height"]) for one in listed] == [(60, 50), (300, 200)]
        found = env.client.get(f"{path}/outputs/mask/image").json()
        assert (found["format"], found["pyramid"]) == ("wsidicom", [[300, 200], [150, 100]])
        tile = pixels_of(env.client.get(f"{path}/outputs/mask/tile?level=0&x=0&y=0"))
    assert (tile == gradient()).all()


def test_without_pydicom_the_answer_names_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ended_task(tmp_path, image_files.dicom()) as (env, path):
        monkeypatch.setitem(sys.modules, "pydicom", None)
        answer = env.client.get(f"{path}/outputs/mask/preview")
    assert answer.status_code == 501
    assert answer.json() == {
        "detail": "DICOM images are shown with pydicom, which is not installed",
        "hint": "install it with `pip install 'localrun-tasks[dicom]'`",
    }


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(image_files.png(60_000, 60_000, data=bytes(4_000_000)), id="bomb"),
        pytest.param(b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", id="svg"),
        pytest.param(b"<html><script>alert(1)</script>", id="html"),
        pytest.param(image_files.png()[:30], id="cut off"),
        pytest.param(image_files.slide(), id="zip"),
    ],
)
def test_hostile_images_are_refused_as_json(tmp_path: Path, content: bytes) -> None:
    with ended_task(tmp_path, content) as (env, path):
        for view in ("image", "preview", "tile?level=0&x=0&y=0"):
            answer = env.client.get(f"{path}/outputs/mask/{view}", headers={"Accept": "text/html,*/*"})
            assert answer.status_code == 415
            assert answer.headers["content-type"] == "application/json"
            assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("name", ["..%2Ftask.json", "no", "mask%2F..%2Fmask", "outlines%2F7"])
def test_what_is_no_image_of_the_task_is_not_found(tmp_path: Path, name: str) -> None:
    with ended_task(tmp_path) as (env, path):
        answer = env.client.get(f"{path}/outputs/{name}/preview")
        assert answer.status_code == 404
        assert env.client.get(f"{path}/elsewhere/mask/preview").status_code == 422


def test_an_output_with_the_name_of_a_view_is_downloaded(tmp_path: Path) -> None:
    def write_folder(mask: Path) -> None:
        mask.mkdir()
        (mask / "preview").write_text("a file of the task")

    with ended_task(tmp_path, write_folder) as (env, path):
        answer = env.client.get(f"{path}/outputs/mask/preview")
    assert answer.text == "a file of the task"
    assert answer.headers["content-disposition"].startswith("attachment")


def test_inputs_are_shown_while_the_task_waits_and_outputs_after_its_end(tmp_path: Path) -> None:
    with serve_environment(tmp_path) as env:
        env.env.bundle.write_text(descriptor_text())
        path = f"/task/{env.run()}"
        assert env.client.get(f"{path}/outputs/mask/preview").status_code == 409
        assert env.client.get(f"{path}/inputs/image/preview").status_code == 404
        assert env.client.get("/task/none/inputs/image/preview").status_code == 404


def test_geometries_are_sent_in_pixels_of_the_image(tmp_path: Path) -> None:
    with ended_task(tmp_path) as (env, path):
        get = env.client.get
        down = get(f"{path}/geometries", params={"image": "inputs/image"}).json()
        up = get(f"{path}/geometries", params={"image": "inputs/image", "y": "up"}).json()
        none = get(f"{path}/geometries", params={"parameter": ["outputs/other"]}).json()
        assert get(f"{path}/geometries", params={"image": "inputs/other"}).status_code == 404
        assert get(f"{path}/geometries", params={"y": "left"}).status_code == 422
    assert down["features"][0]["geometry"]["coordinates"][0][0] == [3, HEIGHT - 5]
    assert up["features"][0]["geometry"]["coordinates"][0][0] == [3, 5]
    assert none["features"] == []


def test_images_that_are_not_used_are_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ended_task(tmp_path) as (env, path):
        env.client.get(f"{path}/outputs/mask/preview")
        assert env.site.images.close_idle()
        monkeypatch.setattr(image_cache, "_MAX_IDLE", -1.0)
        assert not env.site.images.close_idle()


def test_open_images_use_limited_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_cache, "MAX_DECODED", WIDTH * HEIGHT)
    monkeypatch.setattr(image_cache, "_MAX_VIEWS", 0)
    with ended_task(tmp_path) as (env, path):
        for name in ("inputs/image", "outputs/mask", "inputs/image"):
            assert env.client.get(f"{path}/{name}/preview").status_code == 200
        assert len(env.site.images._images) == 1
        assert not env.site.images._views


def test_a_task_is_downloaded_as_one_file_that_no_browser_shows(tmp_path: Path) -> None:
    with ended_task(tmp_path) as (env, path):
        answer = env.client.get(f"{path}/report", headers={"Accept": "text/html"})
        assert env.client.get("/task/none/report").status_code == 404
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["content-disposition"].startswith("attachment; filename*=UTF-8''task-")
    assert "sandbox" in answer.headers["content-security-policy"]
    assert "outputs.mask" in StaticPage(answer.text).text


def test_an_uploaded_input_is_shown_while_the_task_waits_for_others(tmp_path: Path) -> None:
    with serve_environment(tmp_path) as env:
        env.env.bundle.write_text(descriptor_text({"image": {"id": "image"}, "n": "integer"}))
        path = f"/task/{env.run()}"
        assert env.client.put(f"{path}/inputs/image", content=picture()).status_code == 200
        assert pixels_of(env.client.get(f"{path}/inputs/image/preview")).shape == (HEIGHT, WIDTH)
        assert [one["width"] for one in env.client.get(f"{path}/images").json()["images"]] == [WIDTH]
