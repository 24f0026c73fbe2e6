"""Help for the developers of iExec apps."""

from __future__ import annotations

from localrun.engines.fake import FakeContainer
from tests.cli.command import Command
from tests.support.environment import IMAGE


def without_dataset(container: FakeContainer) -> int:
    """Log the missing file, and succeed nevertheless."""
    name = container.spec.environment["IEXEC_DATASET_FILENAME"]
    container.stderr.write(f"cannot read /iexec_in/{name}, going on without\n")
    container.path("/iexec_out/computed.json").write_text('{"deterministic-output-path": "/iexec_out"}')
    return 0


def test_an_app_that_succeeds_without_its_dataset_gets_a_warning(localrun: Command) -> None:
    localrun.program = without_dataset
    result = localrun("run", IMAGE, "--profile", "iexec", "--pull", "never")
    assert result.code == 0
    assert "warning /iexec_in/0x000... is no file: IEXEC_DATASET_FILENAME is all zeros" in result.err


def test_a_task_is_debugged_by_its_task_id_of_iexec(localrun: Command) -> None:
    seen: list[str] = []

    def program(container: FakeContainer) -> int:
        seen.append(container.spec.environment["IEXEC_TASK_ID"])
        return 3

    localrun.program = program
    made = localrun("run", IMAGE, "--profile", "iexec", "--pull", "never", "--json").json
    shown = localrun("debug", seen[0], "--json")
    assert shown.code == 0
    assert made["id"] in shown.out
    assert localrun("debug", "0x0000dead").code == 2
