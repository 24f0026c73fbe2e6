"""iExec apps on the fake engine: command line, Python, HTTP, and secrets."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import localrun
from localrun.app import App
from localrun.engines.base import ContainerSpec
from localrun.engines.fake import FakeContainer, FakeEngine
from localrun.errors import InputsError, UsageError
from localrun.manager import export
from localrun.manager.payload import from_payload, redact_secrets
from localrun.manager.request import Request, to_iexec_request
from localrun.platforms.iexec import IexecInputs
from localrun.task.record import ProcessId, TaskRecord
from localrun.task.states import TaskState
from tests.cli.command import Command
from tests.support.environment import IMAGE, Environment, make_environment
from tests.support.server_client import serve_environment
from tests.support.web_server import website

SECRET = "swordfish"


@pytest.fixture
def localrun_(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    """The command line, for apps in the image of the environment."""
    return Command(tmp_path, capsys, program=hello)


def hello(container: FakeContainer) -> int:
    """Write all inputs and variables into the result."""
    out = container.path("/iexec_out")
    files = sorted(path.name for path in container.path("/iexec_in").iterdir())
    told = {"command": container.command, "files": files, "environment": container.environment}
    (out / "result.json").write_text(json.dumps(told))
    (out / "computed.json").write_text('{"deterministic-output-path": "/iexec_out/result.json"}')
    container.stdout.write("hello\n")
    container.stderr.write("a remark\n")
    return 0


def told(folder: str | Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((Path(folder) / "outputs" / "result.json").read_text())
    return found


def run(localrun_: Command, *given: object) -> Any:
    return localrun_("run", IMAGE, "--profile", "iexec", "--pull", "never", *given)


def run_app(env: Environment, **inputs: Any) -> TaskRecord:
    asked = to_iexec_request(Request(Path(IMAGE), pull="never"), IexecInputs(**inputs))
    record = env.app.manager.wait(env.app.manager.submit(asked))
    assert record is not None
    return record


# -- the command -----------------------------------------------------------------------------------


def test_the_result_of_an_app_is_reused(localrun_: Command, tmp_path: Path) -> None:
    file = localrun_.folder / "a.csv"
    file.write_text("1\n")
    given = ("--input-file", file, "--json")
    first = run(localrun_, "--args", "x", *given).json
    found = run(localrun_, "--args", "x", *given, "--reuse").json
    assert found["not_reused"] == ["it may use the network; --reuse-all includes such tasks"]
    first = run(localrun_, "--args", "x", "--no-network", *given).json
    again = run(localrun_, "--args", "x", "--no-network", *given, "--reuse", "-o", tmp_path / "out")
    assert (again.json["id"], again.json["reused"]) == (first["id"], True)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["iexec_out", "iexec_out.zip"]
    other = run(localrun_, "--args", "y", "--no-network", *given, "--reuse").json
    assert (other["reused"], "command" in " ".join(other["not_reused"])) == (False, True)
    Path(first["folder"], "iexec_out.zip").unlink()
    found = run(localrun_, "--args", "x", "--no-network", *given, "--reuse").json
    assert found["not_reused"] == [f"task {first['id'][:8]} was the same, but iexec_out.zip was deleted"]


def test_the_result_of_an_app_with_secrets_is_reused_only_on_request(localrun_: Command) -> None:
    first = run(localrun_, "--secret", "1=swordfish", "--json").json
    assert run(localrun_, "--secret", "1=swordfish", "--json", "--reuse").json["reused"] is False
    found = run(localrun_, "--secret", "1=swordfish", "--json", "--reuse-all").json
    assert (found["reused"], found["state"]) == (True, first["state"])
    other = run(localrun_, "--secret", "1=trombone", "--json", "--reuse-all").json
    assert (other["reused"], "secrets.IEXEC_REQUESTER_SECRET_1 changed" in other["not_reused"]) == (
        False,
        True,
    )


def test_an_app_is_run_by_the_name_of_its_image(localrun_: Command) -> None:
    (localrun_.folder / "a.csv").write_text("1\n")
    file = localrun_.folder / "a.csv"
    ran = run(localrun_, "--args", "x 'y z'", "--input-file", f"https://e.org/a=@{file}", "--json")
    assert ran.code == 0, ran.err
    record = ran.json
    seen = told(record["folder"])
    assert seen["command"][-2:] == ["x", "y z"]
    assert seen["files"] == [seen["environment"]["IEXEC_INPUT_FILE_NAME_1"]]
    assert record["outputs"]["deterministic_output_path"] == "/iexec_out/result.json"
    with zipfile.ZipFile(record["outputs"]["result"]) as archive:
        assert archive.namelist() == ["computed.json", "result.json", "stderr.txt", "stdout.txt"]
    assert (record["image"], record["state"]) != ("", "FAILED")


def test_a_file_of_the_web_is_there_under_the_name_of_its_address(localrun_: Command) -> None:
    digest = hashlib.sha256(b"hello").hexdigest()
    contents = {}

    def look(container: FakeContainer) -> int:
        contents.update({path.name: path.read_text() for path in container.path("/iexec_in").iterdir()})
        return hello(container)

    localrun_.program = look
    with website() as site:
        ran = run(localrun_, "--input-file", f"{site}/200", "--dataset", f"{site}/200:{digest}")
        assert ran.code == 0, ran.err
        assert contents["0x" + hashlib.sha256(f"{site}/200".encode()).hexdigest()] == "hello"
        assert list(contents.values()) == ["hello", "hello"]

        # An error page or a wrong checksum leaves nothing behind
        before = list((localrun_.folder / "home" / "tasks").iterdir())
        ran = run(localrun_, "--input-file", f"{site}/404")
        assert (ran.code, "404 Not Found" in ran.err) == (3, True)
        ran = run(localrun_, "--dataset", f"{site}/200:{'0' * 64}", "--json")
        assert (ran.code, ran.json["cause"]) == (3, "DATASET_CHECKSUM")
        assert list((localrun_.folder / "home" / "tasks").iterdir()) == before


def test_the_result_is_copied_as_a_folder_and_packed(localrun_: Command, tmp_path: Path) -> None:
    ran = run(localrun_, "-o", tmp_path / "out", "-q")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["iexec_out", "iexec_out.zip"]
    assert (tmp_path / "out" / "iexec_out" / "stdout.txt").read_text() == "hello\n"
    assert f"result: {tmp_path}/out/iexec_out.zip (" in ran.out


def test_an_app_that_leaves_no_computed_json_fails_with_the_words_of_iexec(localrun_: Command) -> None:
    localrun_.program = lambda container: 0
    ran = run(localrun_)
    assert ran.code == 1
    assert "FAILED (COMPUTED_FILE_MISSING): /iexec_out/computed.json is missing" in ran.err
    status = localrun_("status", "last", "--as", "iexec").out
    assert "POST_COMPUTE_COMPUTED_FILE_NOT_FOUND" in status
    debug = localrun_("debug", "last", "--raw").json
    history = debug["offchainData"]["replicates"][0]["statusHistory"]
    assert history[-1]["cause"] == "POST_COMPUTE_COMPUTED_FILE_NOT_FOUND"


def test_an_app_that_fails_is_judged_by_its_exit_code_and_not_by_what_it_left(localrun_: Command) -> None:
    localrun_.program = lambda container: 3
    ran = run(localrun_, "--json")
    assert (ran.code, ran.json["cause"], ran.json["problems"]) == (1, "EXIT_NONZERO", [])


def test_the_digest_is_in_the_view_that_iexec_has_of_a_task(localrun_: Command) -> None:
    digest = run(localrun_, "--json").json["outputs"]["digest"]
    assert localrun_("debug", "last", "--raw").json["local"]["resultDigest"] == digest


def test_a_result_for_a_contract_is_the_data_of_its_callback(localrun_: Command) -> None:
    def oracle(container: FakeContainer) -> int:
        (container.path("/iexec_out") / "computed.json").write_text('{"callback-data": "0x2a"}')
        return 0

    localrun_.program = oracle
    assert run(localrun_).code == 1
    ran = run(localrun_, "--callback", "--json")
    assert ran.json["outputs"]["callback_data"] == "0x2a"
    assert localrun_("rerun", "last", "--json").json["outputs"]["digest"] == ran.json["outputs"]["digest"]


def test_an_app_is_run_again_with_the_same_inputs(localrun_: Command) -> None:
    (localrun_.folder / "a.csv").write_text("1\n")
    first = run(localrun_, "--args", "x", "--input-file", localrun_.folder / "a.csv", "--json").json
    again = localrun_("rerun", "last", "--json")
    assert again.code == 0, again.err
    assert told(again.json["folder"]) == told(first["folder"])
    assert again.json["outputs"]["digest"] == first["outputs"]["digest"]


def test_options_of_apps_are_refused_for_a_bundle_and_those_of_bundles_for_an_app(localrun_: Command) -> None:
    ran = localrun_.run("--input-file", "a.csv")
    assert (ran.code, "--input-file needs --profile iexec" in ran.err) == (2, True)
    ran = run(localrun_, "-i", "a=1")
    assert (ran.code, "an iExec app has no named inputs" in ran.err) == (2, True)


@pytest.mark.parametrize("given", ["swordfish", "one=swordfish", "0=swordfish", "1="])
def test_a_secret_that_is_not_numbered_is_refused_and_not_repeated(localrun_: Command, given: str) -> None:
    ran = run(localrun_, "--secret", given)
    assert (ran.code, "NUMBER=VALUE or NUMBER=@FILE" in ran.err) == (2, True)
    assert SECRET not in ran.err


def test_a_path_that_is_not_there_is_not_taken_for_an_image(localrun_: Command) -> None:
    ran = localrun_("run", "./nothing", "--profile", "iexec")
    assert (ran.code, "no such file or folder:" in ran.err) == (3, True)


def test_a_folder_with_a_dockerfile_is_built(localrun_: Command, tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "Dockerfile").write_text("FROM x\n")
    ran = localrun_("run", tmp_path / "app", "--profile", "iexec", "--json")
    assert (ran.code, ran.json["state"]) == (0, "FINISHED")
    assert localrun_("rerun", "last").code == 0


def test_an_app_has_a_network_room_and_folders_that_it_may_write_to_as_there(tmp_path: Path) -> None:
    seen: list[ContainerSpec] = []

    def look(container: FakeContainer) -> int:
        seen.append(container.spec)
        return hello(container)

    with make_environment(tmp_path, look) as env:
        (tmp_path / "a.csv").write_text("1\n")
        run_app(env, input_files=(str(tmp_path / "a.csv"),))
    (spec,) = seen
    assert (spec.network, spec.memory, spec.entrypoint, spec.command) == (True, 6 * 1024**3, None, None)
    assert {mount.target: mount.read_only for mount in spec.mounts} == {
        "/iexec_in": False,
        "/iexec_out": False,
    }
    assert (tmp_path / "a.csv").read_text() == "1\n"  # the app has a copy


def test_time_that_is_up_ends_an_app_at_once(tmp_path: Path) -> None:
    # Given an app that would stop when asked to
    def asked(container: FakeContainer) -> int:
        container.stopped.wait(60)
        return 0 if not container.killed.wait(60) else 137

    with make_environment(tmp_path, asked, grace=20.0) as env:
        request = to_iexec_request(Request(Path(IMAGE), pull="never", timeout=0.2), IexecInputs())
        record = env.app.manager.wait(env.app.manager.submit(request))
    assert record is not None
    # Then it is killed at once, as on iExec
    assert (record.cause, record.exit_code) == ("TIMEOUT", 137)


# -- secrets ---------------------------------------------------------------------------------------


def leaky(container: FakeContainer) -> int:
    """Write the secret to every possible place."""
    secret = container.environment["IEXEC_REQUESTER_SECRET_1"]
    container.stdout.write(f"a {secret} b {secret[:5]}")
    container.stdout.write(f"{secret[5:]}\n")
    container.stderr.write(f"{secret}\n")
    (container.path("/iexec_out") / f"{secret * 4}.txt").write_text("x")
    (container.path("/iexec_out") / secret).symlink_to("nowhere")
    (container.path("/iexec_out") / "computed.json").write_text(
        f'{{"deterministic-output-path": "{secret}"}}'
    )
    return 0


def everything(folder: Path) -> str:
    """Return the content of all files that localrun wrote in a folder."""
    texts = [
        path.read_text("utf-8", "replace")
        for path in folder.rglob("*")
        if path.is_file() and "outputs" not in path.parts and path.suffix != ".zip"
    ]
    return "\n".join(texts)


@pytest.mark.parametrize("code", [0, 1])
def test_a_secret_is_in_no_log_record_or_view(localrun_: Command, code: int) -> None:
    localrun_.program = lambda container: leaky(container) or code
    ran = run(localrun_, "--secret", f"1={SECRET}", "--app-secret", "deep-thought")
    assert ran.code == 1
    assert "a *** b ***" in ran.err
    assert "the program printed a secret" in everything(localrun_.folder)
    assert code or "/iexec_out/***: links are empty files" in everything(localrun_.folder)
    views = [
        localrun_(*view, "last").out for view in (("describe",), ("status",), ("logs",), ("debug", "--logs"))
    ]
    for text in (ran.out, ran.err, everything(localrun_.folder), *views):
        assert SECRET not in text
        assert "deep-thought" not in text
    assert "IEXEC_REQUESTER_SECRET_1" in views[0]


def test_a_secret_reaches_the_app_from_the_command_or_from_a_file(localrun_: Command) -> None:
    (localrun_.folder / "key").write_text("line one\nline two\n")
    seen = {}

    def keep(container: FakeContainer) -> int:
        seen.update(container.environment)
        return hello(container)

    localrun_.program = keep
    run(localrun_, "--secret", "1=@@home", "--secret", f"2=@{localrun_.folder}/key", "--app-secret", SECRET)
    assert seen["IEXEC_REQUESTER_SECRET_1"] == "@home"
    assert seen["IEXEC_REQUESTER_SECRET_2"] == "line one\nline two"
    assert seen["IEXEC_APP_DEVELOPER_SECRET"] == SECRET


@pytest.mark.parametrize("program", [hello, lambda container: 1])
def test_secrets_are_kept_for_the_user_alone_and_not_beyond_the_end(
    tmp_path: Path, program: Callable[[FakeContainer], int]
) -> None:
    modes = []

    def look(container: FakeContainer) -> int:
        (kept,) = (tmp_path / ".localrun").glob("tasks/*/secrets.json")
        modes.append(kept.stat().st_mode & 0o777)
        return program(container)

    with make_environment(tmp_path, look) as env:
        run_app(env, secrets={"1": SECRET})
        assert modes == [0o600]
        assert list((tmp_path / ".localrun").glob("tasks/*/secrets.json")) == []


def test_a_task_with_secrets_is_not_run_again_without_them(localrun_: Command) -> None:
    run(localrun_, "--secret", f"1={SECRET}")
    ran = localrun_("rerun", "last")
    assert ran.code == 2
    assert "had secrets, which are not stored: IEXEC_REQUESTER_SECRET_1" in ran.err


def test_the_log_of_a_task_whose_process_died_has_no_secret_either(tmp_path: Path) -> None:
    # Given a task whose process died while it ran
    gone = ProcessId(host=os.uname().nodename, pid=2**22, started=1.0)
    with make_environment(tmp_path, leaky) as env:
        workspace, claim, handle = died(env, gone)
        claim.release(ended=False)
        # When the next process ends it
        (ended,) = env.app.recovery.end_orphans()
        # Then it has the end of its container, which exited with 0 and wrote a name that is too long
        assert (ended.state, ended.cause) == (TaskState.FAILED, "RESULT_NAME_TOO_LONG")
        assert "a *** b ***" in workspace.log.read_text()
        assert SECRET not in everything(tmp_path / ".localrun")
        assert not workspace.secrets.exists()
        assert handle


def died(env: Environment, owner: ProcessId) -> tuple[Any, Any, str]:
    from localrun.engines.base import Mount
    from localrun.engines.labels import LABEL_HOME, LABEL_TASK
    from localrun.masking import store
    from localrun.platforms.iexec import prepare
    from localrun.task.active import ActiveTask
    from localrun.task.record import RunPlan

    workspace = env.app.store.create()
    claim = env.app.store.acquire(workspace.id, new=True)
    given = prepare(IMAGE, IexecInputs(secrets={"1": SECRET}))
    workspace.create_dirs(given.descriptor)
    store.save(workspace.secrets, given.secrets)
    plan = RunPlan(profile="iexec", secret_names=list(given.secrets))
    task = ActiveTask(
        TaskRecord(id=workspace.id, bundle="x", owner=owner, plan=plan, folder=str(workspace.path)), workspace
    )
    task.create()
    for state in (TaskState.PROVISIONED, TaskState.QUEUING, TaskState.QUEUED, TaskState.PENDING):
        task.transition(state)
    task.transition(TaskState.RUNNING)
    handle = env.engine.create(
        ContainerSpec(
            image=IMAGE,
            name=f"localrun-{workspace.id}",
            labels={LABEL_TASK: workspace.id, LABEL_HOME: str(env.app.settings.home)},
            environment=given.secrets,
            mounts=(Mount(workspace.outputs, "/iexec_out", read_only=False),),
        )
    )
    env.engine.start(handle)
    env.engine.wait(handle)
    return workspace, claim, handle


def test_the_next_process_carries_an_app_on_with_its_secrets(tmp_path: Path) -> None:
    # Given an app submitted to a server that died before the app started
    (tmp_path / "a.csv").write_text("1\n")
    with make_environment(tmp_path, hello) as env:
        given = payload(secrets={"1": SECRET}, input_files=[str(tmp_path / "a.csv")])
        task = env.app.manager.create_task(given, start=False)
        # When another server starts
        there = App(env.app.settings, env.engine)
        assert [record.id for record in there.recover()] == [task.id]
        record = there.manager.wait_for(task.id, 60)
        there.manager.shutdown(0)
    # Then it runs with all of its inputs
    assert record is not None
    assert (record.state, record.message) == ("FINISHED", "finished")
    seen = told(record.folder)
    assert seen["environment"]["IEXEC_REQUESTER_SECRET_1"] == SECRET
    assert len(seen["files"]) == 1
    assert not (Path(record.folder) / "secrets.json").exists()


# -- Python ----------------------------------------------------------------------------------------


def test_an_app_is_run_from_python(tmp_path: Path) -> None:
    with make_environment(tmp_path, hello) as env, localrun.using(env.app):
        home = env.app.settings.home
        task = localrun.submit(
            IMAGE, profile="iexec", args="x", secrets={1: SECRET}, pull="never", home=home, memory="64Mi"
        )
        assert task.wait() == "FINISHED"
        assert isinstance(task.outputs["result"], Path)
        assert task.outputs["digest"].startswith("0x")
        got = task.download_outputs(dest=tmp_path / "got")
        assert sorted(path.name for path in got.iterdir()) == ["iexec_out", "iexec_out.zip"]
        assert SECRET not in repr(task.info)


def test_what_no_app_is_given_is_refused_from_python(tmp_path: Path) -> None:
    with (
        make_environment(tmp_path, hello) as env,
        localrun.using(env.app),
        pytest.raises(UsageError) as caught,
    ):
        localrun.submit(IMAGE, profile="iexec", arg="x", home=env.app.settings.home)
    assert "did you mean 'args'?" in str(caught.value)


def test_a_profile_that_is_not_known_is_refused(tmp_path: Path) -> None:
    with (
        make_environment(tmp_path, hello) as env,
        localrun.using(env.app),
        pytest.raises(UsageError) as caught,
    ):
        localrun.submit(IMAGE, profile="iexek", home=env.app.settings.home)  # type: ignore[arg-type] # the point
    assert "profile: expected one of bundle, iexec, found 'iexek'" in str(caught.value)


def test_the_task_of_a_bundle_needs_nothing_that_only_apps_need() -> None:
    script = "import sys, localrun.cli.run, localrun.app, localrun.manager.submission; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    unwanted = ("localrun.platforms.iexec", "localrun.values.digest", "zipfile")
    assert [name for name in done.stdout.split() if name.startswith(unwanted)] == []


# -- HTTP ------------------------------------------------------------------------------------------


def payload(**more: Any) -> dict[str, Any]:
    return {"profile": "iexec", "image": IMAGE, "args": "x", **more}


def test_an_app_is_a_task_object_too() -> None:
    request = from_payload(
        payload(secrets={"1": SECRET}, callback=True, timeout="1m", resources={"ram": "1Gi"})
    )
    assert request is not None
    assert (request.profile, request.command, request.callback) == ("iexec", ["x"], True)
    assert (request.timeout, request.memory, request.detached) == (60, 1024**3, True)
    assert SECRET not in str(request.submitted)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"inputs": {"a": 1}}, "inputs: unknown field"),
        ({"arg": "x"}, "arg: unknown field"),
        ({"profile": "iexek"}, "profile: expected one of bundle, iexec, found 'iexek'"),
        ({"args": 7}, "args: must be a string"),
        ({"secrets": {"1": "***"}}, "the secrets of the task are masked"),
    ],
)
def test_a_task_object_of_an_app_that_does_not_fit_is_refused(more: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        from_payload(payload(**more))
    assert said in str(caught.value)


def test_over_http_files_are_those_that_may_be_read_and_nothing_is_fetched(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1\n")
    request = from_payload(payload(input_files=["a.csv"]), find_file=lambda name: tmp_path / name)
    assert request is not None
    assert list(request.values.values()) == [tmp_path / "a.csv"]
    with pytest.raises(InputsError):
        from_payload(payload(input_files=["http://e.org/a"]), find_file=lambda name: tmp_path / name)


def test_a_server_runs_an_app_and_tells_no_secret(tmp_path: Path) -> None:
    with serve_environment(tmp_path, hello) as server:
        given = payload(secrets={"1": SECRET}, app_secret="deep-thought")
        task_id = server.post(given)["task_id"]
        found = server.wait(task_id)
        assert found["state"] == "FINISHED", found
        fetched = server.client.get(f"/task/{task_id}/outputs/iexec_out.zip")
        assert fetched.content.startswith(b"PK")
        assert server.client.get(f"/task/{task_id}/outputs/iexec_out/stdout.txt").text == "hello\n"
        assert server.client.get(f"/task/{task_id}/outputs").json()["files"] == {
            "iexec_out.zip": f"/task/{task_id}/outputs/iexec_out.zip"
        }
        answers = [server.client.get(path).text for path in (f"/task/{task_id}", "/tasks")]
    for text in (json.dumps(found), *answers, everything(tmp_path)):
        assert SECRET not in text
        assert "deep-thought" not in text


def test_an_app_that_is_exported_comes_back_only_with_its_secrets(tmp_path: Path) -> None:
    with make_environment(tmp_path, hello) as env:
        task = env.app.manager.create_task(payload(secrets={"1": SECRET}), "ray", start=False)
        file = tmp_path / "tasks.jsonl"
        export.export([task.record], file)
        assert SECRET not in file.read_text()
        there = App(env.app.settings.__class__(home=tmp_path / "new", cache=tmp_path / "c"), env.engine)
        found = export.import_tasks(export.read(file), there.store, there.manager)
    assert "submit it again with its secrets" in str(found.problems[0])


def test_the_same_object_sent_twice_is_the_same_task(tmp_path: Path) -> None:
    with make_environment(tmp_path, hello) as env:
        given = payload(secrets={"1": SECRET})
        first = env.app.manager.create_task(given, task_id="one", start=False)
        env.app.manager._registry.add(first)
        assert env.app.manager.create_task(given, task_id="one") is first


def test_only_the_values_of_secrets_are_taken_out_of_an_object() -> None:
    given = payload(secrets={"1": SECRET}, app_secret="deep")
    assert redact_secrets(given) == payload(secrets={"1": "***"}, app_secret="***")
    assert redact_secrets({"secrets": {"1": "of no app"}}) == {"secrets": {"1": "of no app"}}


# -- a remote engine -----------------------------------------------------------------------------


def test_an_app_runs_on_an_engine_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1\n")
    engine = FakeEngine(hello, shares_files=False)
    with make_environment(tmp_path, engine=engine) as env:
        record = run_app(env, input_files=(str(tmp_path / "a.csv"),), secrets={"1": SECRET})
    assert (record.state, record.remote) == ("FINISHED", True)
    seen = json.loads((Path(record.folder) / "outputs" / "result.json").read_text())
    assert len(seen["files"]) == 1
