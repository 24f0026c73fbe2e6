"""The metrics for Prometheus, read with its own parser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families as parse

from localrun.engines.fake import FakeContainer
from localrun.errors import EngineUnreachable
from tests.support.server_client import ServerEnvironment, serve_environment

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def add(container: FakeContainer) -> int:
    a, b = (int(container.path(f"/inputs/{name}").read_text()) for name in "ab")
    container.path("/outputs/sum").write_text(str(a + b))
    return 0 if a else 3


@pytest.fixture
def env(tmp_path: Path) -> Iterator[ServerEnvironment]:
    with serve_environment(tmp_path, add) as env:
        yield env


def scrape(env: ServerEnvironment) -> Samples:
    answer = env.client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    found = (sample for family in parse(answer.text) for sample in family.samples)
    return {(sample.name, tuple(sorted(sample.labels.items()))): sample.value for sample in found}


def test_tasks_are_counted_by_state_and_cause_with_their_times(env: ServerEnvironment) -> None:
    for a in (1, 2, 0):
        env.wait(env.run(a=a, b=1))
    env.post({"any": "task"})
    found = scrape(env)
    failed = (("cause", "EXIT_NONZERO"), ("state", "FAILED"))
    finished = (("cause", ""), ("state", "FINISHED"))
    assert found["localrun_tasks_ended_total", finished] == 2
    assert found["localrun_tasks_ended_total", failed] == 1
    assert found["localrun_tasks", finished] == 2
    assert found["localrun_tasks", failed] == 1
    assert found["localrun_tasks", (("cause", ""), ("state", "CREATED"))] == 1
    assert found["localrun_tasks", (("cause", ""), ("state", "KILLED"))] == 0
    assert found["localrun_task_run_seconds_count", ()] == 3
    assert found["localrun_task_wait_seconds_count", ()] == 3
    assert found["localrun_task_run_seconds_sum", ()] >= 0


def test_the_queue_the_reservations_and_the_engine_are_shown(env: ServerEnvironment) -> None:
    found = scrape(env)
    assert found["localrun_queue_tasks", (("status", "waiting"),)] == 0
    assert found["localrun_queue_tasks", (("status", "admitted"),)] == 0
    assert found["localrun_reserved_cpus", ()] == 0
    assert found["localrun_capacity_memory_bytes", ()] > 0
    assert found["localrun_capacity_gpus", ()] >= 0
    assert found["localrun_engine_up", ()] == 1
    names = {name for name, _ in found}
    assert {"localrun_info", "localrun_engine_info", "process_resident_memory_bytes"} <= names


def test_a_scrape_works_without_an_engine(env: ServerEnvironment, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise EngineUnreachable("no engine answers", remedy="start it")

    monkeypatch.setattr(type(env.site.app.engine), "info", fail)
    found = scrape(env)
    assert found["localrun_engine_up", ()] == 0
    assert ("localrun_capacity_cpus", ()) not in found


def test_metrics_need_the_token(tmp_path: Path) -> None:
    with serve_environment(tmp_path, token="hunter22hunter22") as env:
        assert env.client.get("/metrics").status_code == 401
        allowed = env.client.get("/metrics", headers={"Authorization": "Bearer hunter22hunter22"})
        assert allowed.status_code == 200


def test_a_client_that_prefers_openmetrics_gets_it(env: ServerEnvironment) -> None:
    answer = env.client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")
