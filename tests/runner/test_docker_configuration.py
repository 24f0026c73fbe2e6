"""Docker's configuration in a task: proxies with a network, and warnings of what could not be used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from localrun.engines.fake import FakeContainer, FakeEngine
from localrun.engines.fake.engine import INFO
from localrun.errors import EngineUnreachable
from localrun.task.record import TaskRecord
from tests.support.environment import make_environment

PROXIES = {"HTTP_PROXY": "http://ada:hunter%2F22@proxy:1", "http_proxy": "http://ada:hunter%2F22@proxy:1"}


def show(container: FakeContainer) -> int:
    container.stdout.write(f"{sorted(container.environment.items())} hunter/22\n")
    container.path("/outputs/sum").write_text("7")
    return 0


def run(folder: Path, **options: Any) -> tuple[TaskRecord, str]:
    """Run with proxies; return the record and the log."""
    engine = FakeEngine(show)
    engine.proxy_variables = PROXIES
    with make_environment(folder, engine=engine) as env:
        record = env.run(assignments=("a=3", "b=4"), **options)
        return record, (Path(record.folder) / "logs" / "task.log").read_text()


def test_proxies_are_given_to_a_task_with_a_network(tmp_path: Path) -> None:
    record, log = run(tmp_path, network=True)
    assert "HTTP_PROXY" in log
    assert "http_proxy" in log
    assert record.outputs == {"sum": 7}


def test_the_password_of_a_proxy_is_masked_in_the_log_and_in_the_record(tmp_path: Path) -> None:
    record, log = run(tmp_path, network=True)
    assert "http://ada:***@proxy:1" in log
    for text in (log, *(path.read_text() for path in Path(record.folder).rglob("*.json"))):
        assert "hunter" not in text


def test_a_task_without_a_network_gets_no_proxy(tmp_path: Path) -> None:
    assert "PROXY" not in run(tmp_path)[1]


def test_a_retry_and_a_later_process_mask_the_password_too(tmp_path: Path) -> None:
    from localrun.runner import container_spec
    from localrun.task.active import ActiveTask

    record, _ = run(tmp_path, network=True)
    engine = FakeEngine()
    engine.proxy_variables = PROXIES
    with make_environment(tmp_path, engine=engine) as env:
        task = ActiveTask(record, env.app.store.open(record.id))
        assert container_spec.masked_proxies(engine, task) == PROXIES
        assert task.masker.mask_text("hunter/22 hunter%2F22") == "*** ***"


@pytest.mark.parametrize("explicit", ["HTTP_PROXY", "http_proxy"])
def test_an_explicit_value_wins_as_in_docker(explicit: str) -> None:
    from localrun.engines.base import ContainerSpec
    from localrun.runner.container_spec import with_environment

    spec = ContainerSpec("image", "name", environment={explicit: "own"})
    found = with_environment(spec, PROXIES, {"TOKEN": "x"}).environment
    assert found == {**PROXIES, explicit: "own", "TOKEN": "x"}


def test_what_is_wrong_with_dockers_configuration_is_a_warning_of_the_task(tmp_path: Path) -> None:
    engine = FakeEngine(show, info=replace(INFO, warnings=("ignored config.json",)))
    with make_environment(tmp_path, engine=engine) as env:
        record = env.run(assignments=("a=3", "b=4"), network=True)
    assert record.warnings.count("ignored config.json") == 1


def test_a_context_that_does_not_exist_ends_no_task_on_another_engine(tmp_path: Path) -> None:
    from localrun.app import App
    from localrun.settings import load

    app = App(load({"DOCKER_CONTEXT": "gone", "DOCKER_CONFIG": str(tmp_path)}, home=tmp_path / "home"))
    with pytest.raises(EngineUnreachable, match="'gone' does not exist"):
        _ = app.engine
    assert app.ledger.name  # commands that need no engine work
    app.close()
