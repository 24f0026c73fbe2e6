"""The form that runs a bundle."""

from __future__ import annotations

from pathlib import Path

from tests.browser.conftest import Open
from tests.support.page_server import PageServer, picture


def test_a_task_with_every_kind_of_input_is_sent(served: PageServer, visit: Open, tmp_path: Path) -> None:
    visitor = visit(served.url("/ui/run?bundle=cells.zip"))
    page = visitor.page
    visitor.see("Threshold")
    page.get_by_label("Image", exact=True).set_input_files(picture(tmp_path / "upload.png"))
    page.get_by_role("textbox", name="Threshold").fill("50")
    page.get_by_role("radio", name="exact").check()
    page.get_by_role("textbox", name="Label").fill("<b>label</b>")
    page.get_by_role("radio", name="true").check()
    page.get_by_role("textbox", name="Taken").fill("2026-11-29T12:00:00Z")
    page.get_by_role("textbox", name="Region").fill('{"type": "Point", "coordinates": [10, 20]}')
    (tmp_path / "table.csv").write_text("a,b\n1,2\n")
    page.get_by_label("Table", exact=True).set_input_files(tmp_path / "table.csv")
    levels = page.get_by_role("group", name="Levels")
    for number in (3, 1):
        levels.get_by_role("button", name="Add an item").click()
        levels.get_by_role("textbox").last.fill(str(number))
    levels.get_by_role("button", name="Move item 1 up").click()
    tiles = [picture(tmp_path / f"tile-{number}.png") for number in (10, 2)]
    page.locator("#in-tiles-add").set_input_files(tiles)
    page.get_by_role("button", name="Run", exact=True).click()
    visitor.until("() => location.pathname.startsWith('/ui/task/')")
    task = served.wait(page.url.rpartition("/")[2])
    assert (task["state"], task["message"]) == ("FINISHED", "finished")
    inputs = task["inputs"]
    assert (inputs["threshold"], inputs["mode"], inputs["label"]) == (50, "exact", "<b>label</b>")
    assert (inputs["smooth"], inputs["levels"]) == (True, [1, 3])
    visitor.see("outlines (4)")


def test_problems_of_the_server_stand_at_their_fields(served: PageServer, visit: Open) -> None:
    visitor = visit(served.url("/ui/run?bundle=cells.zip"))
    page = visitor.page
    visitor.see("Threshold")
    assert page.locator(".field.invalid").count() == 0  # nothing was entered yet
    page.get_by_role("textbox", name="Threshold").fill("300")
    problem = page.locator("#in-threshold-problem")
    problem.wait_for()
    assert "255" in problem.inner_text()
    assert page.get_by_role("textbox", name="Threshold").get_attribute("aria-invalid") == "true"
    page.get_by_role("button", name="Run", exact=True).click()
    visitor.see("The task cannot run")
    page.locator("#in-image-problem").wait_for()
    assert served.request("GET", "/tasks")["total"] == 0
    assert visitor.accessibility_violations() == []


def test_the_form_shows_the_same_as_a_command_and_takes_inputs_from_the_address(
    served: PageServer, visit: Open
) -> None:
    visitor = visit(served.url("/ui/run?bundle=cells.zip&in.threshold=77&in.mode=exact"))
    visitor.see("threshold=77")
    assert "curl" in visitor.text()
    assert visitor.page.get_by_role("radio", name="exact").is_checked()


def test_options_are_sent_and_their_problems_are_shown(served: PageServer, visit: Open) -> None:
    visitor = visit(served.url("/ui/run?bundle=cells.zip"))
    page = visitor.page
    page.get_by_text("Resources, timeout, network, replicas").click()
    page.get_by_role("textbox", name="Memory").fill("2 elephants")
    page.get_by_role("button", name="Run", exact=True).click()
    page.locator("#option-memory-problem").wait_for()


def test_a_geometry_is_drawn_on_the_chosen_image(served: PageServer, visit: Open, tmp_path: Path) -> None:
    visitor = visit(served.url("/ui/run?bundle=cells.zip"))
    page = visitor.page
    visitor.see("Threshold")
    page.get_by_label("Image", exact=True).set_input_files(picture(tmp_path / "upload.png"))
    page.get_by_role("button", name="Draw on image").click()
    page.get_by_role("button", name="Rectangle").click()
    page.locator(".drawing canvas").first.wait_for()
    box = page.locator(".drawing .map").bounding_box()
    assert box is not None
    # the top left corner of the image, and a quarter of it to the right and down
    scale = (box["height"] - 16) / 120
    left, top = box["x"] + box["width"] / 2 - 60 * scale, box["y"] + 8
    page.mouse.click(left + 0.5, top + 0.5)
    page.mouse.move(left + 30 * scale, top + 30 * scale)
    page.mouse.click(left + 30 * scale, top + 30 * scale)
    region = page.get_by_role("textbox", name="Region")
    visitor.until("() => document.querySelector('#in-region').value.includes('Polygon')")
    text = region.input_value()
    assert "90" in text, text  # y is counted from the bottom
    page.get_by_role("radio", name="fast").check()
    page.get_by_role("button", name="Run", exact=True).click()
    visitor.until("() => location.pathname.startsWith('/ui/task/')")
    assert served.wait(page.url.rpartition("/")[2])["state"] == "FINISHED"


def test_a_bundle_is_uploaded(served: PageServer, visit: Open, tmp_path: Path) -> None:
    visitor = visit(served.url("/ui/run"))
    visitor.see("Upload a bundle")
    visitor.page.locator("#bundle-file").set_input_files(served.folder / "any.zip")
    visitor.see("Number")
    assert "com.example.any" in visitor.page.url
