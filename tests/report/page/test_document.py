from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from localrun.engines.fake import FakeContainer
from localrun.report.images.catalog import TaskCatalog
from localrun.report.page import document, pictures, sections
from localrun.report.page.budget import SizeBudget
from localrun.report.page.document import TaskReport, make_report
from localrun.task import metadata
from localrun.task.record import TaskRecord
from localrun.task.workspace import Workspace
from tests.support import image_files
from tests.support.environment import make_environment
from tests.support.html_check import StaticPage
from tests.support.image_tasks import OUTPUTS, descriptor_text, find_squares, save_image, square

HOSTILE = (
    "<script>alert(1)</script><svg onload=alert(2)>\"' onmouseover=alert(3) <img src=http://example.org/x>"
)
Change = Callable[[TaskRecord, Workspace], TaskRecord]


def report(
    folder: Path,
    program: Callable[[FakeContainer], Any] = find_squares,
    *,
    outputs: dict[str, Any] | None = None,
    change: Change | None = None,
    **options: Any,
) -> TaskReport:
    with make_environment(folder, program) as env:
        env.bundle.write_text(descriptor_text(None, outputs))
        record = env.run(values={"image": Path(save_image(folder)), "roi": square(1, 1, 20)})
        workspace = env.app.store.open(record.id)
        return make_report(change(record, workspace) if change else record, workspace, **options)


def test_a_report_has_state_outputs_log_events_and_images_with_outlines(tmp_path: Path) -> None:
    def program(container: FakeContainer) -> int:
        container.stdout.write("two squares found\n")
        return find_squares(container)

    found = report(tmp_path, program)
    page = StaticPage(found.html)
    for part in ("FINISHED", "two squares found", "outputs.mask", "[16, 36]", "Created", "localrun run"):
        assert part in page.text
    assert len(page.links) == 2
    assert found.html.count("<path") == 6
    assert "outputs.outlines[1]\noutputs.areas = 36" in page.titles
    assert 'd="M3 25L7 25L7 21L3 21Z"' in found.html  # y counts from the top
    assert "RUNNING" in " ".join(page.titles)
    assert found.omitted == []


def test_a_report_loads_nothing_and_runs_nothing(tmp_path: Path) -> None:
    found = report(tmp_path)
    assert found.html.startswith("<!doctype html>")
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:" in found.html
    assert "http" not in found.html.replace("http-equiv", "")


def test_a_failed_task_shows_its_cause_and_remedy(tmp_path: Path) -> None:
    def program(container: FakeContainer) -> int:
        container.stderr.write("cannot find nuclei\n")
        return 3

    page = StaticPage(report(tmp_path, program).html)
    for part in ("FAILED", "EXIT_NONZERO", "cannot find nuclei", "hint: ", "exit code 3"):
        assert part in page.text


def test_hostile_values_are_text_everywhere(tmp_path: Path) -> None:
    def program(container: FakeContainer) -> int:
        find_squares(container)
        container.stdout.write(HOSTILE + "\x1b[31m\x1b]0;title\x07\u202e\n")
        outputs = container.path("/outputs")
        (outputs / "label").write_text(HOSTILE)
        (outputs / "notes").write_text(HOSTILE)
        (outputs / "mask").write_bytes(HOSTILE.encode())
        item = {"type": "Feature", "geometry": square(1, 1), "properties": {HOSTILE: HOSTILE}}
        (outputs / "outlines/0").write_text(json.dumps(item))
        (outputs / "<b>x").write_text("extra")
        return 0

    def change(record: TaskRecord, workspace: Workspace) -> TaskRecord:
        return record.replace(
            name=HOSTILE,
            bundle=HOSTILE,
            message=HOSTILE,
            remedy=HOSTILE,
            warnings=[HOSTILE],
            problems=[{"path": HOSTILE, "message": HOSTILE, "remedy": HOSTILE}],
            assigned_by=HOSTILE,
        )

    outputs = {**OUTPUTS, "label": "string", "notes": {"id": "file"}}
    found = report(tmp_path, program, outputs=outputs, change=change)
    page = StaticPage(found.html)
    assert page.text.count("<script>alert(1)</script>") >= 7
    assert "\x1b" not in found.html
    assert "\u202e" not in found.html
    assert "not an image" in page.text


def test_secrets_are_masked(tmp_path: Path) -> None:
    def program(container: FakeContainer) -> int:
        find_squares(container)
        container.stdout.write("password=hunter22222\nAuthorization: Bearer abcdefghijkl\n")
        container.path("/outputs/api_token").write_text("tok-123456789")
        return 0

    found = report(tmp_path, program, outputs={**OUTPUTS, "api_token": "string"})
    for secret in ("hunter22222", "abcdefghijkl", "tok-123456789"):
        assert secret not in found.html


def test_secret_variables_of_an_active_task_are_masked(tmp_path: Path) -> None:
    def change(record: TaskRecord, workspace: Workspace) -> TaskRecord:
        workspace.secrets.write_text('{"KEY": "value-of-the-variable"}')
        workspace.log.write_text("it is value-of-the-variable\n")
        return record

    found = report(tmp_path, change=change)
    assert "it is " in found.html
    assert "value-of-the-variable" not in found.html


def test_the_end_of_a_long_log_is_shown_and_the_rest_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sections, "MAX_LOG", 1000)

    def program(container: FakeContainer) -> int:
        container.stdout.write("".join(f"line {number}\n" for number in range(1000)))
        return find_squares(container)

    found = report(tmp_path, program)
    text = StaticPage(found.html).text
    assert "line 999" in text
    assert "line 1\n" not in text
    assert found.omitted == ["the first 7.7 KiB of the log: its last 1000 B are shown"]
    assert found.omitted[0] in text


def test_what_does_not_fit_is_left_out_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "_RESERVED", 0)
    found = report(tmp_path, limit=100)
    page = StaticPage(found.html)
    assert page.links == []
    assert "image inputs.image: left out: the report is full" in found.omitted
    for omitted in found.omitted:
        assert omitted in page.text


def test_more_images_than_the_limit_are_named(tmp_path: Path) -> None:
    with make_environment(tmp_path, find_squares) as env:
        env.bundle.write_text(descriptor_text())
        record = env.run(values={"image": Path(save_image(tmp_path))})
        catalog = TaskCatalog.of(record, env.app.store.open(record.id))
        budget = SizeBudget(1_000_000)
        shown = pictures.figures(catalog, budget, most=1)
    assert shown.count("<image") == 1
    assert budget.omitted == ["image outputs.mask: only the first 1 are shown"]


def test_the_first_frames_of_an_image_are_shown_and_the_others_are_counted(tmp_path: Path) -> None:
    def program(container: FakeContainer) -> int:
        find_squares(container)
        pages = [Image.new("RGB", (40, 30), (10 * number, 0, 0)) for number in range(10)]
        pages[0].save(container.path("/outputs/mask"), "TIFF", save_all=True, append_images=pages[1:])
        return 0

    found = report(tmp_path, program)
    assert len(StaticPage(found.html).links) == 1 + 8
    for part in ("outputs.mask, frame 1 of 10", "outputs.mask, frame 8 of 10", "2 more frames of 10"):
        assert part in StaticPage(found.html).text
    assert "image outputs.mask: only the first 8 of 10 frames are shown" in found.omitted


def test_a_report_shows_the_metadata_of_a_task_without_secrets(tmp_path: Path) -> None:
    def with_metadata(record: TaskRecord, workspace: Workspace) -> TaskRecord:
        metadata.save(workspace, {"cohort": "B", "note": HOSTILE, "api_key": "s3cret"})
        return record

    found = report(tmp_path, change=with_metadata).html
    text = StaticPage(found).text
    assert "cohort" in text
    assert HOSTILE in text
    assert "s3cret" not in found


def test_an_image_bomb_is_named_and_not_decoded(tmp_path: Path) -> None:
    def program(container: FakeContainer) -> int:
        find_squares(container)
        bomb = image_files.png(60_000, 60_000, data=bytes(4_000_000))
        container.path("/outputs/mask").write_bytes(bomb)
        return 0

    found = report(tmp_path, program)
    assert "decoding 60000 x 60000 pixels takes" in found.omitted[0]
    assert len(StaticPage(found.html).links) == 1


def test_a_task_without_a_container_and_one_that_waits_have_reports(tmp_path: Path) -> None:
    with make_environment(tmp_path) as env:
        task = env.app.manager.create_task({"job": HOSTILE}, "ray")
        page = StaticPage(make_report(task.record, env.app.store.open(task.id)).html)
    assert "while the task was CREATED" in page.text


def test_replicas_are_compared(tmp_path: Path) -> None:
    def program(container: FakeContainer) -> int:
        find_squares(container)
        return 0

    with make_environment(tmp_path, program) as env:
        env.bundle.write_text(descriptor_text())
        record = env.run(values={"image": Path(save_image(tmp_path))}, replicas=2)
        page = StaticPage(make_report(record, env.app.store.open(record.id), env.app.replicas(record)).html)
    assert "Replicas" in page.text
    assert "replicas 1, 2: result" in page.text
