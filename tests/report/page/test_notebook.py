from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from localrun import Task, tasks, using
from localrun.engines.fake import FakeContainer
from localrun.report.page import notebook
from localrun.task.record import TaskRecord
from tests.support.environment import Environment, make_environment
from tests.support.html_check import StaticPage
from tests.support.image_tasks import descriptor_text, find_squares, save_image

HOSTILE = "<script>alert(1)</script>"


def run(env: Environment, folder: Path) -> Task:
    env.bundle.write_text(descriptor_text())
    record = env.run(values={"image": Path(save_image(folder))})
    return Task(record.id, env.app.settings.home)


def test_a_task_in_a_notebook_shows_its_state_outputs_and_images(tmp_path: Path) -> None:
    with make_environment(tmp_path, find_squares) as env, using(env.app):
        task = run(env, tmp_path)
        html = task._repr_html_()
        page = StaticPage(html)
    for part in ("FINISHED", "mask", "[16, 36]"):
        assert part in page.text
    assert len(page.links) == 2
    assert "outputs.outlines[0]" in "".join(page.titles)
    assert len(html) < 20_000


def test_a_task_in_a_notebook_is_small_and_hostile_values_are_text(tmp_path: Path) -> None:
    def program(container: FakeContainer) -> int:
        container.stdout.write(HOSTILE)
        noise = np.random.default_rng(1).integers(0, 255, (1500, 2000, 3), "u1")
        find_squares(container)
        Image.fromarray(noise).save(container.path("/outputs/mask"), "PNG")
        return 1

    with make_environment(tmp_path, program) as env, using(env.app):
        html = run(env, tmp_path)._repr_html_()
    assert len(html.encode()) <= notebook.MAX_SIZE
    assert "&lt;script&gt;" in html
    StaticPage(html)


def test_a_deleted_task_is_named(tmp_path: Path) -> None:
    with make_environment(tmp_path, find_squares) as env, using(env.app):
        task = run(env, tmp_path)
        env.app.store.open(task.id).remove()
        assert task._repr_html_() == "<p>deleted task</p>"


def test_a_list_of_tasks_is_a_table(tmp_path: Path) -> None:
    with make_environment(tmp_path, find_squares) as env, using(env.app):
        first, second = run(env, tmp_path), run(env, tmp_path)
        found = tasks(env.app.settings.home)
        assert list(found) == [second, first]
        assert list(tasks(env.app.settings.home, limit=1)) == [second]
        text = StaticPage(found._repr_html_()).text
        assert first.id[:8] in text
        assert second.id[:8] in text
        found.clear()
        assert "no tasks" in found._repr_html_()


def test_a_long_list_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    records = [TaskRecord(id=f"{number:036}", bundle="b", name=HOSTILE * 50) for number in range(1000)]
    html = notebook.list_html(records)
    assert len(html.encode()) <= notebook.MAX_SIZE
    assert "and 800 more tasks" in StaticPage(html).text
