"""Tasks with replicas, on the fake engine."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from localrun.engines.base import Handle
from localrun.engines.fake import FakeContainer, FakeEngine
from localrun.errors import Cause, LocalrunError, TaskNotFound, UsageError
from localrun.manager import replicas
from localrun.task.events import Event
from localrun.task.record import TaskRecord
from localrun.task.states import TaskState
from tests.support.environment import IMAGE, Environment, make_environment

VALUES: dict[str, Any] = {"values": {"a": 1, "b": 2}}
Program = Callable[[FakeContainer], Any]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start replicas without a pause."""
    monkeypatch.setattr(replicas, "START_INTERVAL", 0.0)


def number_of(container: FakeContainer) -> int:
    return int(container.environment["PYTHONHASHSEED"])


def giving(*texts: str | None) -> Program:
    """Return a program that writes the nth text in the nth replica; None: it fails."""

    def program(container: FakeContainer) -> int:
        text = texts[number_of(container) - 1]
        container.stdout.write(f"I am {container.spec.hostname}\n")
        if text is None:
            return 3
        container.path("/outputs/sum").write_text(text)
        return 0

    return program


@pytest.fixture
def env(tmp_path: Path) -> Iterator[Environment]:
    with make_environment(tmp_path) as made:
        yield made


def run(env: Environment, program: Program, replicas: int = 3, **options: Any) -> TaskRecord:
    assert isinstance(env.engine, FakeEngine)
    env.engine.program = program
    return env.run(**VALUES, replicas=replicas, **options)


def replicas_of(env: Environment, record: TaskRecord) -> list[TaskRecord]:
    return env.app.replicas(record)


def test_replicas_that_agree_finish_with_their_outputs_as_the_tasks_own(env: Environment) -> None:
    # When a task runs three times with the same result
    record = run(env, giving("3", "3", "3"))

    # Then it has finished, with the outputs in its own folder
    assert (record.state, record.cause, record.exit_code) == (TaskState.FINISHED, None, 0)
    assert record.message == "all 3 replicas gave the same result"
    assert record.outputs == {"sum": 3}
    assert Path(record.folder, "outputs", "sum").read_text() == "3"
    assert record.container is None


def test_every_replica_is_a_task_of_its_own_with_what_was_varied(env: Environment) -> None:
    record = run(env, giving("3", "3", "3"))
    found = replicas_of(env, record)
    assert [one.state for one in found] == [TaskState.FINISHED] * 3
    assert [one.replica.number for one in found if one.replica] == [1, 2, 3]
    assert {one.replica.parent_id for one in found if one.replica} == {record.id}
    logs = [Path(one.folder, "logs", "task.log").read_text() for one in found]
    assert logs == [f"I am replica-{number}\n" for number in (1, 2, 3)]
    assert Path(record.folder, "logs", "task.log").read_text() == logs[0]


def test_replicas_that_disagree_fail_the_task_and_each_file_is_named(env: Environment) -> None:
    record = run(env, giving("3", "4", "3"))
    assert (record.state, record.cause) == (TaskState.FAILED, "NO_CONSENSUS")
    assert [problem["path"] for problem in record.problems] == ["outputs/sum"]
    assert record.outputs == {}
    assert record.replication is not None
    assert [group.replicas for group in record.replication.groups] == [[1, 3], [2]]
    assert [one.outputs for one in replicas_of(env, record)] == [{"sum": 3}, {"sum": 4}, {"sum": 3}]


def test_enough_replicas_that_agree_are_enough(env: Environment) -> None:
    record = run(env, giving("4", "3", "3"), agree=2)
    assert (record.state, record.outputs) == (TaskState.FINISHED, {"sum": 3})
    assert record.warnings == ["outputs/sum differs at line 1, column 1 (byte 0)"]


def test_replicas_that_all_fail_are_one_failure_with_their_cause(env: Environment) -> None:
    record = run(env, giving(None, None), replicas=2)
    assert (record.state, record.cause, record.exit_code) == (TaskState.FAILED, "EXIT_NONZERO", 3)
    assert record.message.startswith("all 2 replicas failed; replica 1: the task failed with exit code 3")


def test_a_replica_that_fails_is_a_difference(env: Environment) -> None:
    record = run(env, giving("3", None, "3"))
    assert (record.cause, record.problems[0]["path"]) == ("NO_CONSENSUS", "replica 2")


def test_inputs_are_the_same_for_every_replica_and_are_their_own_when_they_may_be_changed(
    env: Environment,
) -> None:
    # Given a program that changes its input and reads it again
    def program(container: FakeContainer) -> int:
        path = container.path("/inputs/a")
        value = int(path.read_text())
        path.write_text(str(value + 1))
        container.path("/outputs/sum").write_text(str(value))
        return 0

    # Then no replica sees the changes of another
    assert run(env, program, writable_inputs=True).outputs == {"sum": 1}


def test_the_paths_of_inputs_are_those_of_the_replica(env: Environment) -> None:
    record = run(env, giving("3", "3", "3"))
    for one in replicas_of(env, record):
        assert sorted(path.name for path in Path(one.folder, "inputs").iterdir()) == ["a", "b"]
        assert one.inputs == {"a": 1, "b": 2}


def test_what_the_image_sets_on_purpose_is_not_varied(tmp_path: Path) -> None:
    # Given an image that sets the hash seed
    def program(container: FakeContainer) -> int:
        container.path("/outputs/sum").write_text("1")
        return 0

    engine = FakeEngine(program)
    with make_environment(tmp_path, engine=engine) as env:
        engine.add_image(IMAGE, environment=("PYTHONHASHSEED=0",))
        record = env.run(**VALUES, replicas=2)

        # Then it is not varied, and the report says so
        assert record.replication is not None
        assert record.replication.unvaried == {"PYTHONHASHSEED": "0"}
        assert "PYTHONHASHSEED" not in record.replication.varied
        assert all(
            "PYTHONHASHSEED" not in one.plan.environment for one in env.app.replicas(record) if one.plan
        )


def test_replicas_wait_for_room_as_all_tasks_do(tmp_path: Path) -> None:
    # Given a machine that can run one replica at a time
    running = threading.Semaphore(0)
    most: list[int] = []
    lock = threading.Lock()
    now = 0

    def program(container: FakeContainer) -> int:
        nonlocal now
        with lock:
            now += 1
            most.append(now)
        running.acquire(timeout=0.2)
        with lock:
            now -= 1
        container.path("/outputs/sum").write_text("1")
        return 0

    with make_environment(tmp_path, program) as env:
        record = env.run(**VALUES, replicas=3, cpus=8.0)
        assert (record.state, max(most)) == (TaskState.FINISHED, 1)


def test_a_task_is_running_once_a_replica_is(env: Environment) -> None:
    states: list[str] = []

    def listen(event: Event) -> None:
        if event.kind == "state":
            states.append(event.data["state"])

    assert isinstance(env.engine, FakeEngine)
    env.engine.program = giving("3", "3")
    env.app.manager.wait(env.submit(listener=listen, **VALUES, replicas=2))
    assert states == ["CREATED", "PROVISIONED", "QUEUING", "QUEUED", "PENDING", "RUNNING", "FINISHED"]


# -- kill ----------------------------------------------------------------------------------------


class Waiting:
    """Return a program that runs until it is stopped; `begun` counts the started ones."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)

    def __call__(self, container: FakeContainer) -> int:
        self.begun.release()
        container.stopped.wait(60)
        return 143

    def wait(self, number: int) -> None:
        for _ in range(number):
            assert self.begun.acquire(timeout=60)


def test_who_kills_the_task_kills_all_replicas(env: Environment) -> None:
    # Given two replicas that run
    program = Waiting()
    assert isinstance(env.engine, FakeEngine)
    env.engine.program = program
    task = env.submit(**VALUES, replicas=2)
    program.wait(2)

    # When the task is killed
    env.app.manager.kill(task)
    record = env.app.manager.wait(task)

    # Then none of its containers runs
    assert record is not None
    assert (record.state, record.cause) == (TaskState.KILLED, "KILLED")
    assert [one.state for one in replicas_of(env, record)] == [TaskState.KILLED] * 2
    assert env.engine.find({}) == []
    assert env.app.store.active_ids() == []


def test_another_process_kills_all_replicas_too(env: Environment, tmp_path: Path) -> None:
    program = Waiting()
    assert isinstance(env.engine, FakeEngine)
    env.engine.program = program
    task = env.submit(**VALUES, replicas=2)
    program.wait(2)

    # When another app of the same folder kills it
    from localrun.app import App

    other = App(env.app.settings, env.engine)
    record = other.kill(task.id)

    # Then it and its replicas end
    assert record.state is TaskState.KILLED
    assert [one.state for one in other.replicas(record)] == [TaskState.KILLED] * 2


def test_no_replica_begins_after_the_task_was_killed(
    env: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a pause between the first and the second that outlasts the test
    monkeypatch.setattr(replicas, "START_INTERVAL", 3600.0)
    program = Waiting()
    assert isinstance(env.engine, FakeEngine)
    env.engine.program = program
    task = env.submit(**VALUES, replicas=3)
    program.wait(1)

    # When the task is killed, then it ends, and the others were never created
    env.app.manager.kill(task)
    record = env.app.manager.wait(task, timeout=60)
    assert record is not None
    assert (record.state, len(replicas_of(env, record))) == (TaskState.KILLED, 1)


def test_one_replica_that_is_killed_leaves_the_others(env: Environment) -> None:
    # Given two replicas that run
    release = threading.Event()
    begun = threading.Semaphore(0)

    def program(container: FakeContainer) -> int:
        begun.release()
        while not (release.is_set() or container.stopped.wait(0.01)):
            pass
        container.path("/outputs/sum").write_text("1")
        return 143 if container.stopped.is_set() else 0

    assert isinstance(env.engine, FakeEngine)
    env.engine.program = program
    task = env.submit(**VALUES, replicas=2)
    assert begun.acquire(timeout=60)
    assert begun.acquire(timeout=60)

    # When one is killed, and the other continues
    first, _ = replicas_of(env, task.record)
    env.app.manager.kill_task(first.id)
    release.set()
    record = env.app.manager.wait(task)

    # Then that is a difference
    assert record is not None
    assert record.replication is not None
    assert (record.cause, record.replication.failed) == ("NO_CONSENSUS", {"1": "KILLED"})


def test_whatever_goes_wrong_no_replica_outlives_the_task(
    env: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a disk that is full when the second replica is created, while the first one runs
    program = Waiting()
    assert isinstance(env.engine, FakeEngine)
    env.engine.program = program
    mirror = replicas.mirror

    def full(source: Path, target: Path, put: Any) -> None:
        if len(list(env.app.store.newest_first())) > 2:
            program.wait(1)
            raise LocalrunError("the disk is full", cause=Cause.DISK_FULL)
        mirror(source, target, put)

    monkeypatch.setattr(replicas, "mirror", full)
    record = env.run(**VALUES, replicas=3)

    # Then the task fails with that cause, and leaves no container or incomplete task
    assert (record.state, record.cause) == (TaskState.FAILED, "DISK_FULL")
    assert [one.state for one in replicas_of(env, record)] == [TaskState.KILLED]
    assert env.engine.find({}) == []
    assert env.app.store.active_ids() == []


def test_links_among_the_outputs_stay_links(env: Environment) -> None:
    def program(container: FakeContainer) -> int:
        container.path("/outputs/real").write_text("3")
        container.path("/outputs/sum").symlink_to("real")
        container.path("/outputs/deep/er").mkdir(parents=True)
        container.path("/outputs/deep/er/x").write_text("x")
        return 0

    record = run(env, program, replicas=2)
    outputs = Path(record.folder, "outputs")
    assert record.outputs == {"sum": 3}
    assert str((outputs / "sum").readlink()) == "real"
    assert (outputs / "deep" / "er" / "x").read_text() == "x"


def test_where_files_can_have_one_name_only_they_are_copied(
    env: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("os.link", refuse)
    assert run(env, giving("3", "3"), replicas=2).outputs == {"sum": 3}


# -- as one task -----------------------------------------------------------------------------------


def test_a_replica_is_found_by_the_id_of_its_task_and_its_number(env: Environment) -> None:
    record = run(env, giving("3", "3", "3"))
    ids = [one.id for one in replicas_of(env, record)]
    assert env.app.find(f"{record.short_id}/2")[1].id == ids[1]
    assert env.app.find("last")[1].id == record.id
    assert env.app.find("last/3")[1].id == ids[2]


@pytest.mark.parametrize("name", ["last/4", "last/0", "last/x", "last/", "last/1/1"])
def test_a_replica_that_is_not_there_is_refused_with_those_that_are(env: Environment, name: str) -> None:
    run(env, giving("3", "3", "3"))
    with pytest.raises(TaskNotFound, match="has no replica") as refused:
        env.app.find(name)
    assert "use a number from 1 to 3" in refused.value.remedy or "no replicas" in refused.value.remedy


def test_a_task_that_ran_once_has_no_replicas(env: Environment) -> None:
    run(env, giving("3"), replicas=1)
    assert env.app.replicas(env.app.find("last")[1]) == []


def test_whoever_deletes_the_task_deletes_its_replicas(env: Environment) -> None:
    record = run(env, giving("3", "3", "3"))
    env.app.remove(record.id)
    assert list(env.app.store.newest_first()) == []


def test_a_replica_alone_is_not_deleted(env: Environment) -> None:
    record = run(env, giving("3", "3", "3"))
    with pytest.raises(UsageError, match=f"is a replica of {record.short_id}"):
        env.app.remove("last/1")


def test_a_replica_whose_task_is_gone_can_be_deleted(env: Environment) -> None:
    record = run(env, giving("3", "3", "3"))
    first = replicas_of(env, record)[0]
    env.app.store.remove(env.app.store.open(record.id))
    assert env.app.remove(first.id) == first.id


def test_the_list_of_tasks_has_the_task_and_not_its_replicas(env: Environment) -> None:
    record = run(env, giving("3", "3", "3"))
    assert [one.id for one in env.app.tasks()] == [record.id]


@pytest.mark.parametrize(("replicas", "agree"), [(0, None), (3, 4), (4, 2), (1, 2)])
def test_numbers_that_do_not_fit_are_refused_and_leave_nothing(
    env: Environment, replicas: int, agree: int | None
) -> None:
    with pytest.raises(UsageError, match="invalid replicas"):
        env.submit(**VALUES, replicas=replicas, agree=agree)
    assert list(env.app.store.newest_first()) == []


# -- when a process dies ---------------------------------------------------------------------------


def rewound(env: Environment, record: TaskRecord, state: TaskState, **changes: Any) -> None:
    """Rewrite the record of an ended task as it was in `state`, owned by a dead process."""
    history = [entry for entry in record.history if not entry[0].is_final]
    workspace = env.app.store.open(record.id)
    cut = [state for state, _ in history].index(state) + 1
    before = {"cause": None, "message": "", "final_state": None, "outputs": {}, "container": None, **changes}
    assert record.plan is not None
    plan = record.plan.replace(detached=True)
    workspace.save(record.replace(state=state, history=history[:cut], plan=plan, **before))
    (env.app.store.path / "active" / record.id).touch()


def gone_on(env: Environment, record: TaskRecord) -> TaskRecord:
    """Resume a task in a new process, and return its final record."""
    from localrun.app import App

    app = App(env.app.settings, env.engine)
    app.manager.recover()
    found = app.manager.wait_for(record.id, 60)
    assert found is not None
    app.manager.shutdown(0)
    return found


def test_the_next_process_goes_on_with_the_task_and_with_each_replica_as_far_as_it_came(
    env: Environment,
) -> None:
    # Given a process that died after the first replica ended, while the second one waited
    record = run(env, giving("3", "3", "3"))
    first, second, third = replicas_of(env, record)
    assert record.replication is not None
    unset = record.replication.replace(groups=[], reached=None, varied={})
    rewound(env, record, TaskState.RUNNING, replication=unset)
    rewound(env, second, TaskState.QUEUING)
    env.app.store.remove(env.app.store.open(third.id))

    # When the next process resumes the task
    found = gone_on(env, record)

    # Then the task ends as it would have, and the first replica did not run again
    assert (found.state, found.outputs) == (TaskState.FINISHED, {"sum": 3})
    again = replicas_of(env, found)
    assert [one.id for one in again] == record.replication.ids
    assert again[0].history == first.history
    assert again[1].ended != second.ended
    assert env.app.store.active_ids() == []


def test_a_process_that_died_while_it_compared_leaves_nothing_but_the_comparison_to_do(
    env: Environment,
) -> None:
    record = run(env, giving("3", "3", "3"))
    rewound(env, record, TaskState.RUNNING)
    found = gone_on(env, record)
    assert (found.state, found.outputs) == (TaskState.FINISHED, {"sum": 3})
    assert Path(found.folder, "outputs", "sum").read_text() == "3"


def test_a_process_that_died_before_the_image_was_there_begins_anew(env: Environment) -> None:
    record = run(env, giving("3", "3"), replicas=2)
    for one in replicas_of(env, record):
        env.app.store.remove(env.app.store.open(one.id))
    rewound(env, record, TaskState.PENDING, replication=None, image="", steps=[])
    found = gone_on(env, record)
    assert (found.state, found.outputs) == (TaskState.FINISHED, {"sum": 3})


def test_a_replica_whose_container_was_lost_fails_and_the_task_says_so(env: Environment) -> None:
    # Given a replica that ran when its process died, and whose container is gone
    record = run(env, giving("3", "3"), replicas=2)
    _, second = replicas_of(env, record)
    rewound(env, record, TaskState.RUNNING)
    rewound(env, second, TaskState.RUNNING)

    # Then that replica has no result
    found = gone_on(env, record)
    assert found.replication is not None
    assert (found.cause, found.replication.failed) == ("NO_CONSENSUS", {"2": "RUNNER_TERMINATED"})


@pytest.mark.parametrize("half", ["no record", "created"])
def test_a_replica_that_a_dead_process_left_half_made_is_made_anew(env: Environment, half: str) -> None:
    # Given a process that died while it created the second replica
    record = run(env, giving("3", "3"), replicas=2)
    _, second = replicas_of(env, record)
    rewound(env, record, TaskState.RUNNING)
    rewound(env, second, TaskState.CREATED)
    if half == "no record":
        Path(second.folder, "task.json").unlink()

    # Then the next process creates it again, with the same id
    found = gone_on(env, record)
    assert (found.state, found.outputs) == (TaskState.FINISHED, {"sum": 3})
    assert [one.id for one in replicas_of(env, found)][1] == second.id
    assert env.app.store.active_ids() == []


def test_a_replica_that_is_half_made_is_not_taken_over_by_itself(env: Environment) -> None:
    from localrun.app import App

    record = run(env, giving("3", "3"), replicas=2)
    _, second = replicas_of(env, record)
    rewound(env, second, TaskState.CREATED)
    app = App(env.app.settings, env.engine)
    assert app.manager.resume(second.id) is None
    assert app.manager.get_all_active_tasks() == []
    app.manager.shutdown(0)


def test_every_replica_gets_the_secrets_and_none_keeps_them(env: Environment) -> None:
    # Given a program that needs a secret
    seen: list[str] = []

    def program(container: FakeContainer) -> int:
        seen.append(container.environment["PASSWORD"])
        container.path("/outputs/sum").write_text("3")
        return 0

    # When it runs twice
    run(env, program, replicas=2, secrets={"PASSWORD": "hunter2222"})

    # Then each gets it, and no file has it afterwards
    assert seen == ["hunter2222"] * 2
    files = [path for path in env.app.store.path.rglob("*") if path.is_file()]
    assert [path for path in files if b"hunter2222" in path.read_bytes()] == []


def test_a_secret_that_differs_from_run_to_run_is_not_shown(env: Environment) -> None:
    # Given a program that writes a secret next to a varying value
    def program(container: FakeContainer) -> int:
        text = f"{container.environment['PASSWORD']} {number_of(container)}"
        container.path("/outputs/sum").write_text(text)
        return 0

    env.bundle.write_text(env.bundle.read_text().replace("sum: {type: integer", "sum: {type: string"))

    # Then the position is reported without the secret
    record = run(env, program, replicas=2, secrets={"PASSWORD": "hunter2222"})
    assert record.cause == "NO_CONSENSUS"
    assert record.replication is not None
    assert record.replication.disagreements[0].column == len("hunter2222 ") + 1
    assert b"hunter2222" not in Path(record.folder, "task.json").read_bytes()
    assert b"hunter2222" not in Path(record.folder, "events.jsonl").read_bytes()


def test_the_next_replica_starts_a_second_after_the_container_of_the_last_one(
    env: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given an engine that takes longer to start a container than the pause between two replicas
    monkeypatch.setattr(replicas, "START_INTERVAL", 0.2)
    engine = env.engine
    assert isinstance(engine, FakeEngine)
    starts: list[float] = []

    def start(handle: Handle) -> None:
        time.sleep(0.3)
        FakeEngine.start(engine, handle)
        starts.append(time.monotonic())

    monkeypatch.setattr(engine, "start", start)

    # When three replicas run, then the pause follows the start of each container
    env.run(**VALUES, replicas=3)
    assert [later - earlier > 0.49 for earlier, later in pairwise(starts)] == [True, True]
