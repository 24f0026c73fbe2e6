"""Inputs that are URLs."""

from __future__ import annotations

import hashlib
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec  # type: ignore[import-untyped]
import pytest

from localrun.engines.fake import FakeContainer
from localrun.errors import InputsError, TaskKilled
from localrun.settings.model import Defaults
from localrun.task.events import Event
from localrun.task.record import TaskRecord
from localrun.values import load_values
from localrun.values.references import TaskOutput
from tests.cli.command import Process
from tests.support.environment import DESCRIPTOR, Environment, make_environment
from tests.support.web_server import website
from tests.values.test_downloads import running_site

HEAD = DESCRIPTOR[: DESCRIPTOR.index("inputs:\n")]
PARAMETERS = """\
inputs:
  table: {type: file, description: d, display_name: T, optional: true}
  tables: {type: {id: array, size: {max: 9}, subtype: file}, description: d, display_name: T, optional: true}
  count: {type: integer, description: d, display_name: C, optional: true}
  word: {type: string, description: d, display_name: W, optional: true}
outputs:
  seen: {type: file, description: what it has seen, display_name: S}
"""
HELLO = hashlib.sha256(b"hello").hexdigest()


def look(container: FakeContainer) -> int:
    """Write the names and the contents of the inputs."""
    given = container.path("/inputs")
    names = sorted(str(path.relative_to(given)) for path in given.rglob("*") if path.is_file())
    found = {
        name: container.path(f"/inputs/{name}").read_text() for name in names if name != "tables/array.yml"
    }
    container.path("/outputs/seen").write_text(json.dumps(found))
    return 0


@pytest.fixture
def env(tmp_path: Path) -> Iterator[Environment]:
    with make_environment(tmp_path, look) as env:
        env.bundle.write_text(HEAD + PARAMETERS)
        yield env


@pytest.fixture
def site() -> Iterator[str]:
    with website() as address:
        yield address


@pytest.fixture
def memory() -> Iterator[Any]:
    files = fsspec.filesystem("memory")
    files.pipe({"/m/table": b"hello", "/m/count": b"7\n", "/m/list.json": b"[1, 2]"})
    yield files
    files.store.clear()


def seen(record: TaskRecord) -> dict[str, str]:
    found: dict[str, str] = json.loads(Path(record.outputs["seen"]).read_text())
    return found


def test_a_url_is_an_input_from_the_command_line_a_file_and_python(
    env: Environment, site: str, memory: Any, tmp_path: Path
) -> None:
    url = f"{site}/200"
    (tmp_path / "values.yml").write_text(
        f"table: {url}\ntables: ['{url}', '@{url}']\ncount: '@memory://m/count'\n"
    )
    two = {"tables/0": "hello", "tables/1": "hello"}
    defaults = Defaults(inputs={"table": url})
    cases: list[tuple[dict[str, Any], dict[str, str]]] = [
        ({"assignments": [f"table={url}"]}, {"table": "hello"}),
        ({"assignments": [f"table=@{url}", "count=@memory://m/count"]}, {"table": "hello", "count": "7"}),
        (
            {"assignments": [f"tables={url}", "tables=memory://m/table"]},
            {"tables/0": "hello", "tables/1": "hello"},
        ),
        ({"assignments": [f'tables=["{url}"]', f"word={url}"]}, {"tables/0": "hello", "word": url}),
        (
            {"values": load_values(tmp_path / "values.yml")},
            {"table": "hello", "count": "7", **two},
        ),
        ({"values": {"table": "memory://m/table"}}, {"table": "hello"}),
        ({"values": {"tables": [url]}}, {"tables/0": "hello"}),
        ({"default_inputs": defaults}, {"table": "hello"}),
    ]
    for options, wanted in cases:
        record = env.run(**options)
        assert record.message == "finished", record.problems
        assert seen(record) == wanted


def test_the_record_has_the_url_without_credentials_and_the_digest(env: Environment, site: str) -> None:
    url = site.replace("http://", "http://me:hunter22@") + "/200"
    events: list[Event] = []
    task = env.submit(values={"table": url}, listener=events.append)
    record = env.app.manager.wait(task, 60)
    assert record is not None
    shown = url.replace("me:hunter22", "***")
    assert record.sources["table"].as_dict() == {"url": shown, "sha256": HELLO}
    assert record.source_rows == [f"table: from {shown}"]
    progress = [event.data for event in events if event.kind == "progress"]
    what = f"downloading {shown}"
    assert progress == [{"what": what, "done": 0, "total": None}, {"what": what, "done": 5, "total": 5}]
    for path in env.app.settings.home.rglob("*"):
        assert not path.is_file() or b"hunter22" not in path.read_bytes(), path


def test_every_download_that_fails_is_reported_and_leaves_nothing(env: Environment, site: str) -> None:
    url = site.replace("http://", "http://me:hunter22@")
    with pytest.raises(InputsError) as caught:
        env.submit(values={"table": f"{url}/404", "tables": [f"{url}/200", f"{url}/206"]})
    problems = {problem.path: problem for problem in caught.value.problems}
    assert problems.keys() == {"inputs.table", "inputs.tables.1"}
    assert problems["inputs.table"].message == (
        f"cannot download {url.replace('me:hunter22', '***')}/404: the server answered 404 Not Found"
    )
    assert "4 bytes too early" in problems["inputs.tables.1"].message
    assert "-i table=@FILE" in problems["inputs.table"].remedy
    assert "hunter22" not in str(caught.value)
    assert env.app.tasks() == []


def test_what_is_wrong_besides_is_reported_before_anything_is_downloaded(env: Environment) -> None:
    given = {"table": "http://127.0.0.1:9/x", "count": "x", "tables": ["file:///etc/passwd", "@nope://x"]}
    with pytest.raises(InputsError) as caught:
        env.submit(values=given)
    assert [problem.path for problem in caught.value.problems] == ["inputs.tables.0", "inputs.count"]


def test_files_of_this_machine_are_never_read_through_a_url(env: Environment) -> None:
    for url in ("file:///etc/passwd", "local:///etc/passwd", "simplecache::file:///etc/passwd"):
        for options in ({"assignments": [f"table={url}"]}, {"values": {"table": url}}):
            with pytest.raises(InputsError):
                env.submit(**options)


def test_a_client_of_a_server_cannot_have_a_url_downloaded(env: Environment, site: str) -> None:
    def find_file(name: str) -> Path:
        raise InputsError(f"{name} is not a file below --bundles")

    payload = {"bundle": str(env.bundle), "image": env.image}
    for value in (f"{site}/200", f"@{site}/200", {"file": f"{site}/200"}):
        with pytest.raises(InputsError):
            env.app.manager.create_task({**payload, "inputs": {"table": value}}, find_file=find_file)


def test_a_download_is_stopped_with_its_task(env: Environment, site: str) -> None:
    def stop(event: Event) -> None:
        if event.kind == "progress":
            env.app.store.open(event.task_id).request_kill()

    with pytest.raises(TaskKilled):
        env.submit(values={"table": f"{site}/200"}, listener=stop)
    assert env.app.tasks() == []


def test_rerun_uses_the_downloaded_file(env: Environment, site: str) -> None:
    from localrun.manager.rerun import request_from

    first = env.run(values={"table": f"{site}/200"})
    workspace = env.app.store.open(first.id)
    request = request_from(first, workspace, lambda _: None, has_image=lambda _: True)
    assert seen(env.run(values=request.values)) == {"table": "hello"}


def test_a_url_next_to_an_output_of_another_task(env: Environment, site: str) -> None:
    first = env.submit(values={"word": "w"})
    task = env.submit(values={"tables": [f"{site}/200", TaskOutput(first.id, "seen")]})
    record = env.app.manager.wait(task, 60)
    assert record is not None
    assert seen(record) == {"tables/0": "hello", "tables/1": '{"word": "w"}'}
    assert record.sources.keys() == {"tables/0", "tables/1"}


def test_ctrl_c_during_a_download_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "descriptor.yml").write_text(HEAD + PARAMETERS)
    with running_site() as address:
        given = ("--image", "localrun-test/none:1", "-i", f"table={address}/stall", "-i", "count=1")
        with Process("run", "descriptor.yml", *given, cwd=tmp_path) as process:
            process.read_until("downloading")
            process.send_signal(signal.SIGINT)
            result = process.result()
    assert result.code == 130
    assert list((tmp_path / ".localrun" / "tasks").iterdir()) == []
