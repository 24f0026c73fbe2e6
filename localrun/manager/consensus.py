"""Whether enough replicas of a task gave the same, and in what the others differ."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from localrun.errors import Cause, LocalrunError, NoConsensus, OutputsError, Problem
from localrun.task.record import Disagreement, ReplicaGroup, Replication, TaskRecord
from localrun.task.states import TaskState
from localrun.values.compare.replicas import (
    ReplicaOutput,
    compare_outputs,
    describe_disagreement,
    format_replicas,
    select_declared,
)
from localrun.values.digest import FolderDigest, combine_digests, digest_folder
from localrun.values.untrusted import UnsafePath

COMPUTED = "computed.json"  # holds the result itself, when that is for a contract
MAX_REPLICAS = 100  # replicas of one task: each has threads of its own
_SHOWN = 10  # files that differ, in the message of the task's end


@dataclass(frozen=True, slots=True)
class ConsensusResult:
    """What came of a comparison.

    `chosen` is the number of the replica whose facts are the task's: the first of those that agree, or the
    first that failed when all did; 0: none. `error` says why there is no agreement, `summary` how it went.
    """

    replication: Replication
    chosen: int
    summary: str
    error: LocalrunError | None = None
    warnings: tuple[str, ...] = ()


def check_quorum(number: int, agree: int | None) -> int:
    """How many of the replicas must agree; None: all. Raises ValueError with what is wrong with the numbers.

    More than half of them: of fewer, two different results could win.
    """
    if not 1 <= number <= MAX_REPLICAS:
        raise ValueError(f"there may be from 1 to {MAX_REPLICAS} replicas")
    least = number // 2 + 1
    if agree is None:
        return number
    if not least <= agree <= number:
        raise ValueError(f"from {least} to {number} of them may have to agree: more than half, at most all")
    return agree


def compare(
    records: Mapping[int, TaskRecord], replication: Replication, declared: Sequence[str]
) -> ConsensusResult:
    """Compare what the replicas gave, by their numbers; `declared` are the names of the task's outputs.

    What lies in the output folder beside them is not compared. Raises `OutputsError` when a file cannot be
    read any more.
    """
    numbers = range(1, len(replication.ids) + 1)
    without = {
        str(number): _why_not(records.get(number)) for number in numbers if not _gave(records.get(number))
    }
    results = {number: _result(record, declared) for number, record in records.items() if _gave(record)}
    groups = _groups(results)
    found, left_out = _differences(results)
    reached = bool(groups) and len(groups[0].replicas) >= replication.agree
    told_so = replication.replace(
        groups=groups,
        failed=without,
        disagreements=found,
        omitted=left_out,
        varied=_varied([records.get(number) for number in numbers]),
        reached=time.time() if reached else None,
    )
    if reached:
        return _agreed(told_so, records)
    if not groups:
        return _all_failed(told_so, records)
    summary = _summary(told_so)
    return ConsensusResult(told_so, 0, summary, _no_consensus(told_so, records, summary))


def _gave(record: TaskRecord | None) -> bool:
    return record is not None and record.state is TaskState.FINISHED


def _why_not(record: TaskRecord | None) -> str:
    return "gone" if record is None else record.cause or str(record.state)


def _result(record: TaskRecord, declared: Sequence[str]) -> ReplicaOutput:
    folder = Path(record.folder, "outputs")
    varied = record.replica.varied if record.replica else {}
    return ReplicaOutput(folder, _part(record, digest_folder(folder), declared), varied)


def _part(record: TaskRecord, whole: FolderDigest, declared: Sequence[str]) -> dict[str, str]:
    """What counts as the result: declared outputs; of an iExec app what its `computed.json` names."""
    if record.run_plan.profile != "iexec":
        return select_declared(whole, declared)
    named = PurePosixPath(
        record.outputs.get("deterministic_output_path", f"{record.run_plan.output_folder}/{COMPUTED}")
    )
    within = named.relative_to(record.run_plan.output_folder)
    found = {
        path: digest for path, digest in whole.files.items() if PurePosixPath(path).is_relative_to(within)
    }
    return found or whole.files  # it may be a link to something beside it


def _varied(records: Sequence[TaskRecord | None]) -> dict[str, list[str]]:
    """What each replica had of what was varied, and when its program started; empty where that is unknown."""
    rows = [record.replica.varied if record and record.replica else {} for record in records]
    names = dict.fromkeys(name for row in rows for name in row)
    found = {name: [row.get(name, "") for row in rows] for name in names}
    return {**found, "start": [_start(record) for record in records]}


def _start(record: TaskRecord | None) -> str:
    begun = [since for state, since in record.history if state is TaskState.RUNNING] if record else []
    if not begun:
        return ""
    return datetime.fromtimestamp(begun[0], UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _groups(results: Mapping[int, ReplicaOutput]) -> list[ReplicaGroup]:
    found: dict[str, list[int]] = {}
    for number, result in results.items():
        found.setdefault(combine_digests(result.files), []).append(number)
    groups = [ReplicaGroup(replicas=numbers, digest=digest) for digest, numbers in found.items()]
    return sorted(groups, key=lambda group: (-len(group.replicas), group.replicas))


def _differences(results: Mapping[int, ReplicaOutput]) -> tuple[list[Disagreement], int]:
    try:
        return compare_outputs(results)
    except (OSError, UnsafePath) as error:
        raise OutputsError(
            f"the outputs of the replicas cannot be compared: {error}", remedy="run the task again"
        ) from error


def _summary(replication: Replication) -> str:
    """`3 replicas gave 2 different results: replicas 1 and 3; replica 2`."""
    groups, count = replication.groups, len(replication.ids)
    gave = sum(len(group.replicas) for group in groups)
    missing = (
        f"; {format_replicas(sorted(map(int, replication.failed)))} gave none" if replication.failed else ""
    )
    if len(groups) == 1:
        return f"{gave} of {count} replicas gave the same result{missing}"
    if len(groups) == count:
        return f"each of the {count} replicas gave another result"
    sides = "; ".join(format_replicas(group.replicas) for group in groups)
    return f"{gave} of {count} replicas gave {len(groups)} different results: {sides}{missing}"


def _agreed(replication: Replication, records: Mapping[int, TaskRecord]) -> ConsensusResult:
    first, *others = replication.groups
    count = len(replication.ids)
    alone = not others and not replication.failed
    summary = f"all {count} replicas gave the same result" if alone else _summary(replication)
    problems = _problems(replication, records)
    warnings = [f"{one.path} {one.message.partition(chr(10))[0]}" for one in problems]
    return ConsensusResult(replication, first.replicas[0], summary, None, tuple(warnings))


def _all_failed(replication: Replication, records: Mapping[int, TaskRecord]) -> ConsensusResult:
    """They agree in giving nothing: what the first one met is what the task met."""
    count = len(replication.ids)
    if not records:
        raise LocalrunError(
            "all replicas are gone", remedy="run the task again", cause=Cause.RUNNER_TERMINATED
        )
    chosen, first = next(iter(records.items()))
    others = {record.cause for record in records.values()} - {first.cause}
    also = f"; others ended for {', '.join(sorted(map(str, others)))}" if others else ""
    error = LocalrunError(
        f"all {count} replicas failed; replica {chosen}: {first.message}{also}",
        remedy=first.remedy,
        cause=Cause[first.cause] if first.cause else Cause.INTERNAL,
        problems=[Problem(**problem) for problem in first.problems],
    )
    return ConsensusResult(replication, chosen, f"all {count} replicas failed", error)


def _no_consensus(replication: Replication, records: Mapping[int, TaskRecord], summary: str) -> LocalrunError:
    return NoConsensus(
        f"{summary}; {replication.agree} had to agree",
        remedy="take out of the result what changes from run to run, or sort it",
        problems=_problems(replication, records),
    )


def _problems(replication: Replication, records: Mapping[int, TaskRecord]) -> list[Problem]:
    """One for each file that differs, and one for each replica that gave nothing."""
    found = [
        Problem(f"outputs/{one.path}", "\n".join(describe_disagreement(one)))
        for one in replication.disagreements[:_SHOWN]
    ]
    more = len(replication.disagreements) - _SHOWN + replication.omitted
    if more > 0:
        found.append(Problem("outputs", f"{more} more files differ"))
    for number, cause in replication.failed.items():
        record = records.get(int(number))
        message = f" ({cause}): {record.message}" if record else ": it was deleted"
        found.append(Problem(f"replica {number}", f"gave no result{message}"))
    return found
