"""`localrun upload` and `localrun run --remote` against a server that behaves as App Engine does."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import Command, Process
from tests.support import bundles
from tests.support.app_engine_stub import serve_stub
from tests.support.environment import DESCRIPTOR

LIMITED = DESCRIPTOR.replace("b: {type: integer,", "b: {type: {id: integer, leq: 100},")


@pytest.fixture
def bundle(localrun: Command) -> Path:
    return bundles.bundle(localrun.folder, None, LIMITED)


def steps(found: Any) -> dict[str, tuple[str, str]]:
    return {step["step"]: (step["localrun"]["verdict"], step["server"]["verdict"]) for step in found["steps"]}


# -- upload -----------------------------------------------------------------------------------------


def test_a_bundle_is_uploaded_and_both_verdicts_are_shown(localrun: Command, bundle: Path) -> None:
    with serve_stub() as stub:
        done = localrun("upload", bundle, "--url", stub.url)
        assert done.code == 0, done.out + done.err
        assert "accepted    accepted" in done.out
        assert f"localrun and {stub.url}/app-engine/v1 agree" in done.out
        assert list(stub.tasks) == [("com.example.add", "1.0.0")]


@pytest.mark.parametrize("path", ["", "/", "/api/v1", "/api/v1/"])
def test_the_prefix_of_the_server_is_found(localrun: Command, bundle: Path, path: str) -> None:
    with serve_stub("/api/v1/") as stub:
        found = localrun("upload", bundle, "--url", f"{stub.url}{path}", "--json")
        assert (found.code, found.json["url"]) == (0, f"{stub.url}/api/v1")
        assert found.json["task"]["namespace"] == "com.example.add"


def test_a_duplicate_is_refused_and_can_be_replaced(localrun: Command, bundle: Path) -> None:
    with serve_stub() as stub:
        localrun("upload", bundle, "--url", stub.url)
        first = dict(stub.tasks)
        refused = localrun("upload", bundle, "--url", stub.url)
        assert refused.code == 3
        assert "409 APPE-internal-task-exists: Task already exists." in refused.out
        assert "--replace" in refused.err
        assert localrun("upload", bundle, "--url", stub.url, "--replace").code == 0
        assert stub.tasks != first


def test_a_bundle_that_both_reject_is_uploaded_to_see_both_reasons(localrun: Command) -> None:
    invalid = bundles.bundle(localrun.folder, None, DESCRIPTOR.replace("version: 1.0.0\n", ""))
    with serve_stub() as stub:
        found = localrun("upload", invalid, "--url", stub.url, "--json")
        assert found.code == 3
        assert (found.json["localrun"]["verdict"], found.json["server"]["verdict"]) == (
            "rejected",
            "rejected",
        )
        assert found.json["agree"] is True
        assert found.json["server"]["errorCode"] == "APPE-internal-bundle-schema-validation-error"
        text = localrun("upload", invalid, "--url", stub.url).out
        assert "version is missing but it is required" in text
        assert "localrun: " in text


def test_a_verdict_that_only_the_server_has_is_marked(
    localrun: Command, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve_stub() as stub:
        localrun("upload", bundle, "--url", stub.url)
        found = localrun("upload", bundle, "--url", stub.url, "--json").json
        assert (found["localrun"]["verdict"], found["agree"]) == ("accepted", False)
        assert "<- they differ" in localrun("upload", bundle, "--url", stub.url).out


def test_the_token_of_the_server_is_sent(
    localrun: Command, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCALRUN_REMOTE_TOKEN", "abc")
    with serve_stub() as stub:
        localrun("upload", bundle, "--url", stub.url)
        assert stub.tokens == {"Bearer abc"}


@pytest.mark.parametrize(
    ("url", "code", "text"),
    [
        ("http://127.0.0.1:1", 5, "cannot reach http://127.0.0.1:1/app-engine/v1: connection refused"),
        ("localhost:8080", 2, "invalid URL 'localhost:8080'"),
        ("http://user@host/", 2, "invalid URL"),
        ("ftp://host", 2, "invalid URL"),
        ("http://[::1", 2, "invalid URL"),
    ],
)
def test_a_server_that_cannot_be_reached_is_one_error(
    localrun: Command, bundle: Path, url: str, code: int, text: str
) -> None:
    done = localrun("upload", bundle, "--url", url)
    assert (done.code, text in done.err) == (code, True), done.err


def test_another_server_than_an_app_engine_is_refused(localrun: Command, bundle: Path) -> None:
    with serve_stub("/elsewhere/") as stub:
        done = localrun("run", bundle, "--remote", stub.url, "-i", "a=1", "-i", "b=2")
        assert done.code == 5
        assert f"no App Engine answers at {stub.url}/app-engine/v1: 500" in done.err


# -- run --------------------------------------------------------------------------------------------


def run(localrun: Command, bundle: Path, url: str, *words: object, a: object = 3, b: object = 4) -> Any:
    return localrun("run", bundle, "--remote", url, "-i", f"a={a}", "-i", f"b={b}", *words)


def test_a_task_runs_on_both_and_the_outputs_are_compared(localrun: Command, bundle: Path) -> None:
    with serve_stub() as stub:
        done = run(localrun, bundle, stub.url, "-o", localrun.folder / "out")
        assert done.code == 0, done.out + done.err
        assert "sum: 7" in done.out
        assert f"localrun and {stub.url}/app-engine/v1 agree" in done.out
        assert (localrun.folder / "out/sum").read_text() == "7"
        calls = [call.partition("/")[0] for call in stub.requests]
        assert calls.count("POST tasks") == 2  # the upload, and the run of the task
        found = run(localrun, bundle, stub.url, "--json").json
    assert steps(found) == {
        "bundle": ("accepted", "accepted"),
        "input a": ("accepted", "accepted"),
        "input b": ("accepted", "accepted"),
        "start": ("accepted", "accepted"),
        "run": ("finished", "finished"),
        "outputs": ("accepted", "accepted"),
    }
    assert (found["agree"], found["state"], found["outputs"]) == (True, "FINISHED", {"sum": 7})
    assert found["values"][0]["value"] == 7
    assert json.loads(localrun("status", found["task"], "--json").out)["state"] == "FINISHED"


def test_a_value_that_both_reject(localrun: Command, bundle: Path) -> None:
    with serve_stub() as stub:
        found = run(localrun, bundle, stub.url, "--json", b=101)
        assert found.code == 3
        assert steps(found.json)["input b"] == ("rejected", "rejected")
        assert found.json["agree"] is True
        assert "value must be less than or equal to defined constraint" in str(found.json["steps"])
        (only,) = stub.runs.values()
        assert only["deleted"]


@pytest.mark.parametrize("value", ["abc", "1.5"])
def test_a_value_that_localrun_cannot_parse_is_sent_as_it_is(
    localrun: Command, bundle: Path, value: str
) -> None:
    with serve_stub() as stub:
        found = run(localrun, bundle, stub.url, "--json", a=value)
        assert steps(found.json)["input a"] == ("rejected", "rejected")


def test_a_missing_and_an_unknown_input_are_rejected_by_both(localrun: Command, bundle: Path) -> None:
    with serve_stub() as stub:
        found = localrun("run", bundle, "--remote", stub.url, "-i", "a=1", "--json")
        assert (found.code, found.json["agree"]) == (3, True)
        assert steps(found.json)["start"] == ("rejected", "rejected")
        assert "not provisioned" in str(found.json["steps"])
        found = run(localrun, bundle, stub.url, "-i", "c=5", "--json")
        assert steps(found.json)["input c"] == ("rejected", "rejected")


def test_a_value_that_only_the_server_rejects_is_a_disagreement(localrun: Command, bundle: Path) -> None:
    with serve_stub() as stub:
        done = run(localrun, bundle, stub.url, a=101)  # only b has a limit in the descriptor
        assert done.code == 3
        assert "do not agree: input a" in done.out


def test_other_outputs_are_a_disagreement(localrun: Command, bundle: Path) -> None:
    with serve_stub(result=lambda given: given["a"] - given["b"]) as stub:
        done = run(localrun, bundle, stub.url)
        assert done.code == 1
        assert "different output sum" in done.out
        assert "do not agree: the content of the outputs" in done.out


def test_a_run_that_fails_on_the_server_only(localrun: Command, bundle: Path) -> None:
    with serve_stub(result=lambda _: None) as stub:
        done = run(localrun, bundle, stub.url)
        assert done.code == 1
        assert "server: log: the log of the server" in done.out
        assert "do not agree: run" in done.out


def test_a_run_that_does_not_end_in_time_is_deleted(localrun: Command, bundle: Path) -> None:
    with serve_stub(polls=10**9) as stub:
        done = run(localrun, bundle, stub.url, "--timeout", "0.2s")
        assert done.code == 124
        assert "is still QUEUING after" in done.err
        assert all(found["deleted"] for found in stub.runs.values())


def test_another_task_of_the_same_version_is_not_used(localrun: Command, bundle: Path) -> None:
    with serve_stub() as stub:
        localrun("upload", bundle, "--url", stub.url)
        other = bundles.bundle(localrun.folder, None, LIMITED.replace("Add integers", "Add numbers"))
        done = run(localrun, other, stub.url)
        assert done.code == 2
        assert "has another com.example.add 1.0.0" in done.err
        assert "--replace" in done.err


@pytest.mark.parametrize("option", [["--cpus", "1"], ["--replicas", "2"], ["--hardened"], ["--detach"]])
def test_options_that_a_server_does_not_take_are_refused(
    localrun: Command, bundle: Path, option: list[str]
) -> None:
    done = run(localrun, bundle, "http://127.0.0.1:1", *option)
    assert done.code == 2
    assert f"{option[0]} cannot be used with --remote" in done.err


def test_ctrl_c_deletes_the_run_on_the_server_and_an_engine_is_not_needed(tmp_path: Path) -> None:
    bundle = bundles.bundle(tmp_path, None, LIMITED)
    nowhere = {"DOCKER_HOST": f"unix://{tmp_path}/none.sock"}
    with serve_stub(polls=10**9) as stub:
        words = ("run", bundle, "--remote", stub.url, "-i", "a=1", "-i", "b=2")
        with Process(*words, cwd=tmp_path, env=nowhere) as process:
            process.read_until("not run on this machine: cannot connect to a container engine")
            process.read_until("on the server: QUEUING")
            process.send_signal(signal.SIGINT)
            assert process.result().code == 130
        assert [run["deleted"] for run in stub.runs.values()] == [True]
