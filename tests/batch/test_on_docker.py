"""Batches on a real engine."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from localrun.engines.dockerd import DockerEngine
from tests.cli.command import Result, call
from tests.support.busybox_image import busybox_image
from tests.support.environment import DESCRIPTOR

pytestmark = pytest.mark.docker

ADD = """
a=$(cat /inputs/a)
if [ "$a" = 3 ]; then echo "cannot add $a"; exit 1; fi
echo $((a + $(cat /inputs/b))) > /outputs/sum
"""


@pytest.fixture
def images(docker_engine: DockerEngine) -> Iterator[list[str]]:
    """Two images that differ in a comment."""
    with ExitStack() as stack:
        programs = (ADD, f"{ADD}# changed")
        yield [stack.enter_context(busybox_image(docker_engine, "sh", "-c", text)) for text in programs]


def test_a_batch_is_resumed_and_its_results_are_reused_for_the_same_image(
    images: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "descriptor.yml").write_text(DESCRIPTOR)
    env = {"LOCALRUN_HOME": str(tmp_path / "home"), "LOCALRUN_LEDGER": str(tmp_path / "ledger.json")}

    def batch(image: str, results: str, *more: str) -> Result:
        given = ("descriptor.yml", "--image", image, "--pull", "never", "--grid", "a=1,2,3,4", "-i", "b=1")
        found = call(
            *("batch", *given, "--cpus", "0.1", "--results", results, *more),
            cwd=tmp_path,
            env=env,
            capsys=capsys,
        )
        assert found.code == 10, found.err
        assert "3 of 4 rows finished, 1 FAILED" in found.out
        return found

    def reused(results: str) -> list[tuple[str, str, str]]:
        with (tmp_path / results).open(newline="") as stream:
            return sorted((row["a"], row["sum"], row["reused"]) for row in csv.DictReader(stream))

    image, changed = images
    assert "row 0003: EXIT_NONZERO: the task failed with exit code 1" in batch(image, "first.csv").err
    assert "4 of 4 rows have ended" in batch(image, "first.csv", "--resume").err
    batch(image, "again.csv", "--reuse")
    ended = [("1", "2"), ("2", "3"), ("3", ""), ("4", "5")]
    assert reused("again.csv") == [(*row, "false" if row[0] == "3" else "true") for row in ended]
    batch(changed, "changed.csv", "--reuse")
    assert reused("changed.csv") == [(*row, "false") for row in ended]
