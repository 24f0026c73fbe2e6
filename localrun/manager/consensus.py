"""Consensus: whether enough replicas of a task gave the same result, and how the others differ."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from localrun.errors import Cause, LocalrunError, NoConsensus, OutputsError, Problem
from localrun.task.record import ReplicaGroup, Replication, TaskRecord
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

COMPUTED = "computed.json"  # holds the result itself if it is for a contract
MAX_REPLICAS = 100  # of one task: each replica has its own threads
_SHOWN = 10  # differing files in the message of the task


@dataclass(frozen=True, slots=True)
class ConsensusResult:
    """The result of a comparison.

    `chosen` is the number of the replica that represents the task: the first of those that agree, or the
    first one if all failed; 0 means none. `error` is the reason for a missing agreement.
    """

    replication: Replication
    chosen: int
    summary: str
    error: LocalrunError | None = None
    warnings: tuple[str, ...] = ()


def check_quorum(number: int, agree: int | None) -> int:
    """Return how many replicas must agree; None means all. Raises ValueError for invalid numbers.

    More than half must agree. Otherwise two different results could win.
    """
    if not 1 <= number <= MAX_REPLICAS:
        raise ValueError(f"expected 1 to {MAX_REPLICAS} replicas, found {number}")
    least = number // 2 + 1
    if agree is None:
        return number
    if not least <= agree <= number:
        raise ValueError(f"of {number} replicas, from {least} to {number} must agree, found {agree}")
    return agree


def compare(
    records: Mapping[int, TaskRecord], replication: Replication, declared: Sequence[str]
) -> ConsensusResult:
    """Compare the results of replicas, given by their numbers. `declared` are the names of the outputs.

    Other files in the output folder are not compared. Raises `OutputsError` if a file cannot be read.
    """
    numbers = range(1, len(replication.ids) + 1)
    finished = {number: record for number, record in records.items() if record.state is TaskState.FINISHED}
    failed = {str(number): _failure(records.get(number)) for number in numbers if number not in finished}
    results = {number: _result(record, declared) for number, record in finished.items()}
    groups = _groups(results)
    try:
        found, omitted = compare_outputs(results)
    except (OSError, UnsafePath) as error:
        message = f"cannot compare the outputs of the replicas: {error}"
        raise OutputsError(message, remedy="run the task again") from error
    reached = bool(groups) and len(groups[0].replicas) >= replication.agree
    compared = replication.replace(
        groups=groups,
        failed=failed,
        disagreements=found,
        omitted=omitted,
        varied=_varied([records.get(number) for number in numbers]),
        reached=time.time() if reached else None,
    )
    if reached:
        return _agreed(compared, records)
    if not groups:
        return _all_failed(compared, records)
    summary = _summary(compared)
    disagreement = NoConsensus(
        f"{summary}; {replication.agree} must agree",
        remedy="remove values that vary between runs from the result, or sort it",
        problems=_problems(compared, records),
    )
    return ConsensusResult(compared, 0, summary, disagreement)


def _failure(record: TaskRecord | None) -> str:
    return "gone" if record is None else record.cause or str(record.state)


def _result(record: TaskRecord, declared: Sequence[str]) -> ReplicaOutput:
    folder = Path(record.folder, "outputs")
    varied = record.replica.varied if record.replica else {}
    inside = record.run_plan.output_folder
    files = _result_files(record, digest_folder(folder, inside=inside), declared)
    return ReplicaOutput(folder, files, varied, inside)


def _result_files(record: TaskRecord, whole: FolderDigest, declared: Sequence[str]) -> dict[str, str]:
    """Return the digests of the result: declared outputs, or the path in an iExec app's `computed.json`."""
    if record.run_plan.profile != "iexec":
        return select_declared(whole, declared)
    root = record.run_plan.output_folder
    named = PurePosixPath(record.outputs.get("deterministic_output_path", f"{root}/{COMPUTED}"))
    within = named.relative_to(root)
    found = {path: one for path, one in whole.files.items() if PurePosixPath(path).is_relative_to(within)}
    return found or whole.files


def _varied(records: Sequence[TaskRecord | None]) -> dict[str, list[str]]:
    """Return the varied properties and the start time of each replica; empty strings if unknown."""
    rows = [record.replica.varied if record and record.replica else {} for record in records]
    names = dict.fromkeys(name for row in rows for name in row)
    found = {name: [row.get(name, "") for row in rows] for name in names}
    return {**found, "start": [_start(record) for record in records]}


def _start(record: TaskRecord | None) -> str:
    started = [since for state, since in record.history if state is TaskState.RUNNING] if record else []
    if not started:
        return ""
    return datetime.fromtimestamp(started[0], UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _groups(results: Mapping[int, ReplicaOutput]) -> list[ReplicaGroup]:
    found: dict[str, list[int]] = {}
    for number, result in results.items():
        found.setdefault(combine_digests(result.files), []).append(number)
    groups = [ReplicaGroup(replicas=numbers, digest=digest) for digest, numbers in found.items()]
    return sorted(groups, key=lambda group: (-len(group.replicas), group.replicas))


def _summary(replication: Replication) -> str:
    """Return e.g. `3 of 3 replicas gave 2 different results: replicas 1 and 3; replica 2`."""
    groups, count = replication.groups, len(replication.ids)
    finished = sum(len(group.replicas) for group in groups)
    failed = sorted(map(int, replication.failed))
    missing = f"; {format_replicas(failed)} gave no result" if failed else ""
    if len(groups) == 1:
        return f"{finished} of {count} replicas gave the same result{missing}"
    if len(groups) == count:
        return f"each of the {count} replicas gave a different result"
    variants = "; ".join(format_replicas(group.replicas) for group in groups)
    return f"{finished} of {count} replicas gave {len(groups)} different results: {variants}{missing}"


def _agreed(replication: Replication, records: Mapping[int, TaskRecord]) -> ConsensusResult:
    first, *others = replication.groups
    count = len(replication.ids)
    unanimous = not others and not replication.failed
    summary = f"all {count} replicas gave the same result" if unanimous else _summary(replication)
    problems = _problems(replication, records)
    warnings = [f"{one.path} {one.message.partition(chr(10))[0]}" for one in problems]
    return ConsensusResult(replication, first.replicas[0], summary, None, tuple(warnings))


def _all_failed(replication: Replication, records: Mapping[int, TaskRecord]) -> ConsensusResult:
    """Return the failure of the first replica as the failure of the task."""
    count = len(replication.ids)
    if not records:
        cause = Cause.RUNNER_TERMINATED
        raise LocalrunError("all replicas were deleted", remedy="run the task again", cause=cause)
    chosen, first = next(iter(records.items()))
    others = {record.cause for record in records.values()} - {first.cause}
    also = f"; other causes: {', '.join(sorted(map(str, others)))}" if others else ""
    error = LocalrunError(
        f"all {count} replicas failed; replica {chosen}: {first.message}{also}",
        remedy=first.remedy,
        cause=Cause[first.cause] if first.cause else Cause.INTERNAL,
        problems=[Problem.from_dict(problem) for problem in first.problems],
    )
    return ConsensusResult(replication, chosen, f"all {count} replicas failed", error)


def _problems(replication: Replication, records: Mapping[int, TaskRecord]) -> list[Problem]:
    """Return a problem for each differing file and for each replica without a result."""
    shown = replication.disagreements[:_SHOWN]
    found = [Problem(f"outputs/{one.path}", "\n".join(describe_disagreement(one))) for one in shown]
    more = len(replication.disagreements) - _SHOWN + replication.omitted
    if more > 0:
        found.append(Problem("outputs", f"{more} more files differ"))
    for number, cause in replication.failed.items():
        record = records.get(int(number))
        message = f" ({cause}): {record.message}" if record else ": it was deleted"
        found.append(Problem(f"replica {number}", f"gave no result{message}"))
    return found
