"""Provoke each cause on a real engine and check the cause, exit code, facts and remedy shown."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from localrun.engines.dockerd import DockerEngine
from localrun.errors import Cause, Fault
from tests.faults import bundles, dependencies, iexec, machine, programs, replicas
from tests.faults.harness import ENV, FaultHarness, Observed, Row
from tests.support.images import busybox_layer, image_archive

pytestmark = pytest.mark.docker

ROWS = [*bundles.ROWS, *dependencies.ROWS, *programs.ROWS, *machine.ROWS, *iexec.ROWS, *replicas.ROWS]
# the exit code and fault of each cause, which scripts rely on
ENDS: dict[Cause, tuple[int, Fault]] = {
    Cause.BUNDLE_INVALID: (3, Fault.USER),
    Cause.DESCRIPTOR_INVALID: (3, Fault.USER),
    Cause.INPUTS_INVALID: (3, Fault.USER),
    Cause.DATASET_CHECKSUM: (3, Fault.USER),
    Cause.DEPENDENCY_FAILED: (3, Fault.USER),
    Cause.IMAGE_INVALID: (3, Fault.USER),
    Cause.IMAGE_MISSING: (3, Fault.USER),
    Cause.IMAGE_PULL_FAILED: (3, Fault.USER),
    Cause.IMAGE_BUILD_FAILED: (3, Fault.USER),
    Cause.IMAGE_PLATFORM: (3, Fault.USER),
    Cause.ENTRYPOINT_INVALID: (1, Fault.TASK),
    Cause.CPU_UNAVAILABLE: (4, Fault.HOST),
    Cause.MEMORY_UNAVAILABLE: (4, Fault.HOST),
    Cause.GPU_UNAVAILABLE: (4, Fault.HOST),
    Cause.DISK_UNAVAILABLE: (4, Fault.HOST),
    Cause.EXIT_NONZERO: (1, Fault.TASK),
    Cause.SIGNAL: (1, Fault.TASK),
    Cause.OUT_OF_MEMORY: (1, Fault.TASK),
    Cause.TIMEOUT: (124, Fault.TASK),
    Cause.OUTPUTS_INVALID: (1, Fault.TASK),
    Cause.RESULT_NAME_TOO_LONG: (1, Fault.TASK),
    Cause.RESULT_NOT_PACKED: (1, Fault.TASK),
    Cause.COMPUTED_FILE_MISSING: (1, Fault.TASK),
    Cause.DIGEST_FAILED: (1, Fault.TASK),
    Cause.RESULT_TOO_LARGE: (1, Fault.TASK),
    Cause.NO_CONSENSUS: (9, Fault.TASK),
    Cause.DISK_PRESSURE: (1, Fault.TASK),
    Cause.DISK_FULL: (5, Fault.HOST),
    Cause.KILLED: (130, Fault.USER),
    Cause.RUNNER_TERMINATED: (5, Fault.HOST),
    Cause.ENGINE_UNREACHABLE: (5, Fault.HOST),
    Cause.ENGINE_LOST: (5, Fault.HOST),
    Cause.ENGINE_FAILED: (5, Fault.HOST),
    Cause.INTERNAL: (5, Fault.HOST),
}
# cause -> why it cannot be provoked here
UNPROVOKED: dict[Cause, str] = {}


@pytest.fixture(scope="module")
def image(docker_engine: DockerEngine) -> Iterator[str]:
    """An image that runs its input `script`."""
    name = f"localrun-test/faults:{secrets.token_hex(4)}"
    archive = image_archive(busybox_layer({}), name, Cmd=["sh", "/inputs/script"], Env=ENV)
    docker_engine.load_image([archive])
    yield name
    docker_engine.remove_image(name)


@pytest.fixture
def bench(
    docker_engine: DockerEngine, image: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Iterator[FaultHarness]:
    """The harness: a folder, an engine, and an image."""
    bench = FaultHarness(tmp_path, docker_engine, image, capsys)
    try:
        yield bench
    finally:
        bench.close()


def test_every_cause_is_provoked() -> None:
    provoked = {row.cause for row in ROWS if row.cause}
    assert provoked | set(UNPROVOKED) == set(Cause)
    assert not provoked & set(UNPROVOKED)
    assert all(why.strip() for why in UNPROVOKED.values())


def test_every_cause_has_an_exit_code_and_a_fault() -> None:
    assert set(ENDS) == set(Cause)
    assert {cause: fault for cause, (_, fault) in ENDS.items()} == {cause: cause.fault for cause in Cause}


@pytest.mark.parametrize("row", [row for row in ROWS if row.cause], ids=str)
def test_a_fault_is_shown_with_cause_facts_and_remedy(row: Row, bench: FaultHarness) -> None:
    assert row.cause is not None
    shown = row.execute(bench)
    assert (shown.record["cause"], shown.code) == (str(row.cause), ENDS[row.cause][0]), shown.err
    assert missing(row.says, shown.text) == [], shown.text
    assert row.remedy in shown.remedies, shown.remedies
    assert bool(shown.record["remedy"]) == (row.cause is not Cause.KILLED), shown.record
    seen = {name: shown.record.get(name) for name in row.facts}
    assert seen == dict(row.facts) or on_disk(bench, shown, row) == dict(row.facts)
    check_display(shown)
    check_no_leftovers(bench)


@pytest.mark.parametrize("row", [row for row in ROWS if row.cause is None], ids=str)
def test_a_tolerated_difference_is_a_warning(row: Row, bench: FaultHarness) -> None:
    shown = row.execute(bench)
    assert (shown.code, shown.record["state"], shown.record["cause"]) == (0, "FINISHED", None), shown.err
    assert missing(row.says, "\n".join(shown.record["warnings"])) == [], shown.record["warnings"]
    check_no_leftovers(bench)


def missing(says: tuple[str, ...], text: str) -> list[str]:
    return [words for words in says if words not in text]


def on_disk(bench: FaultHarness, shown: Observed, row: Row) -> dict[str, object]:
    (record,) = (task for task in bench.tasks() if task["id"] == shown.record["id"])
    return {name: record[name] for name in row.facts}


def check_display(shown: Observed) -> None:
    """Check that standard error has the message and remedy, and no traceback."""
    assert "Traceback" not in shown.err
    first = shown.record["message"].splitlines()[0]
    assert first in shown.err
    if shown.record["remedy"]:
        assert "hint:" in shown.err
        assert shown.record["remedy"] in shown.err


def check_no_leftovers(bench: FaultHarness) -> None:
    """Check that no container and no temporary file is left."""
    assert [found for task in bench.tasks() for found in bench.containers(task["id"])] == []
    assert list(bench.folder.rglob("*.localrun-tmp")) == []
