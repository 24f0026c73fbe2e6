"""The plugin on a real engine: one build for multiple processes, and no leftovers."""

from __future__ import annotations

import itertools
import secrets
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from localrun.bundle.images.build import build_labels
from localrun.engines.dockerd import DockerEngine
from localrun.engines.labels import LABEL_HOME, LABEL_TASK
from tests.conftest import OtherUser
from tests.support.waiting import until

pytestmark = pytest.mark.docker

ADD = """
import pytest

@pytest.mark.localrun
@pytest.mark.parametrize("a", range(1, 5))
def test_add(localrun, localrun_bundle, a, record_property):
    assert localrun(a=a, b=4) == {"sum": a + 4}
    assert localrun.last.info.image == localrun_bundle.image
    progress = (localrun.last.folder / "events.jsonl").read_text()
    assert '"kind": "progress"' not in progress
"""
HANG = """
import pytest

@pytest.mark.localrun
def test_hang(localrun):
    print("test begins")
    localrun(a=0, b=4)

def test_after():
    pass
"""


def containers(engine: DockerEngine, folder: Path) -> list[str]:
    """The containers of tasks below a folder."""
    every = engine.find({LABEL_TASK: ""})
    return [one.handle for one in every if one.labels.get(LABEL_HOME, "").startswith(f"{folder}/")]


def run(project: pytest.Pytester, *options: str) -> pytest.RunResult:
    return project.runpytest_subprocess("--basetemp", str(project.path / "t"), *options)


def run_here(project: pytest.Pytester, *options: str) -> pytest.RunResult:
    """Run a session in this process, which takes a third of the time."""
    return project.runpytest_inprocess("--basetemp", str(project.path / "t"), *options)


def states(project: pytest.Pytester) -> list[str]:
    from localrun.task.workspace import Workspace

    found = (project.path / "t").rglob("task.json")
    return sorted(str(Workspace(path.parent).load().state) for path in found)


def test_the_image_is_built_before_the_first_test_and_nothing_stays(
    real_project: pytest.Pytester, docker_engine: DockerEngine
) -> None:
    real_project.makepyfile(ADD)
    real_project.makeconftest(
        """
        def pytest_unconfigure(config):
            import os
            children = open(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read()
            open("children.txt", "w").write(children)
        """
    )
    run(real_project).assert_outcomes(passed=4)
    assert containers(docker_engine, real_project.path) == []
    assert states(real_project) == []
    processes = (real_project.path / "children.txt").read_text().split()
    assert [pid for pid in processes if Path(f"/proc/{pid}").exists()] == []


def test_workers_share_one_image_and_have_separate_folders(
    real_project: pytest.Pytester, docker_engine: DockerEngine
) -> None:
    # Given workers that build the image at the same moment, and a build that can be identified
    dockerfile = real_project.path / "Dockerfile"
    dockerfile.write_text(dockerfile.read_text().replace("CMD", "RUN cat /proc/uptime > /made\nCMD"))
    real_project.makepyfile(ADD)
    real_project.makeconftest(
        """
        import pytest

        @pytest.fixture(autouse=True)
        def told(localrun_bundle, worker_id, request):
            request.node.user_properties.append(("image", localrun_bundle.image))
            request.node.user_properties.append(("worker", worker_id))

        def pytest_terminal_summary(terminalreporter):
            reports = [one for one in terminalreporter.getreports("passed") if one.when == "call"]
            for name in ("image", "worker"):
                found = {value for one in reports for key, value in one.user_properties if key == name}
                terminalreporter.line(f"{name}s: {len(found)}")
        """
    )

    # When two run the tests
    result = run(real_project, "-n", "2", "--dist", "each")

    # Then each has done all of it, with the same image
    result.assert_outcomes(passed=8)
    result.stdout.fnmatch_lines(["images: 1", "workers: 2"])
    assert containers(docker_engine, real_project.path) == []
    assert states(real_project) == []


def test_workers_share_their_reservations(
    real_project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given tasks of which each asks for more than half of the memory, on a separate machine
    monkeypatch.setenv("LOCALRUN_LEDGER", str(real_project.path / "ledger.json"))
    real_project.makepyfile(
        """
        import pytest
        from localrun.app import App

        @pytest.mark.localrun
        @pytest.mark.parametrize("number", range(4))
        def test_large(localrun, localrun_app, number):
            memory = int(localrun_app.engine.info().memory * 0.6)
            localrun(a=1, b=1, memory=memory)
            container = localrun.last.info.steps[1]
            with open("spans.txt", "a") as spans:
                spans.write(f"{container.started} {container.finished}\\n")
        """
    )
    run(real_project, "-n", "2").assert_outcomes(passed=4)

    # Then no two containers ran at the same time
    lines = (real_project.path / "spans.txt").read_text().splitlines()
    spans = sorted(tuple(float(word) for word in line.split()) for line in lines)
    assert len(spans) == 4
    assert all(one[1] <= other[0] for one, other in itertools.pairwise(spans))


@pytest.mark.parametrize("method", ["signal", "thread"])
def test_a_test_that_runs_out_of_time_stops_its_container(
    real_project: pytest.Pytester, docker_engine: DockerEngine, method: str
) -> None:
    real_project.makepyfile(HANG)
    real_project.makeini("[pytest]\ntimeout_func_only = true\n")  # the image is made before
    result = run(real_project, "--timeout", "4", "--timeout-method", method, "--localrun-keep", "always")
    if method == "signal":
        result.assert_outcomes(failed=1, passed=1)
        result.stdout.fnmatch_lines(["*localrun task ????????: KILLED*"])
    else:
        assert result.ret == 1
    until(lambda: not containers(docker_engine, real_project.path))
    until(lambda: states(real_project) == ["KILLED"])


def test_a_session_that_is_killed_leaves_no_container(
    real_project: pytest.Pytester, docker_engine: DockerEngine
) -> None:
    # Given a session whose task runs
    real_project.makepyfile(HANG)
    command = [sys.executable, "-m", "pytest", "-s", "--basetemp", str(real_project.path / "t")]
    with subprocess.Popen(command, cwd=real_project.path, stdout=subprocess.DEVNULL) as session:
        until(lambda: states(real_project) == ["RUNNING"])
        # When nothing can clean up
        session.send_signal(signal.SIGKILL)

    # Then something does
    until(lambda: not containers(docker_engine, real_project.path))
    until(lambda: states(real_project) == ["KILLED"])


def test_ctrl_c_stops_the_task(real_project: pytest.Pytester, docker_engine: DockerEngine) -> None:
    real_project.makepyfile(
        HANG.replace(
            "localrun(a=0, b=4)",
            "import os, signal, threading\n"
            "    threading.Timer(1, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
            "    localrun(a=0, b=4)",
        )
    )
    result = run(real_project, "--localrun-keep", "always")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert containers(docker_engine, real_project.path) == []
    assert states(real_project) == ["KILLED"]


def test_an_unprivileged_user_leaves_nothing(
    real_project: pytest.Pytester, as_other_user: OtherUser, docker_engine: DockerEngine
) -> None:
    # Given a project of an unprivileged user, and a task whose outputs are root's
    real_project.makepyfile(ADD)
    folder = as_other_user.folder(real_project.path.name)
    for path in real_project.path.iterdir():
        if path.is_file():
            shutil.copy(path, folder)
    try:
        # When its tests are run
        options = ["-p", "no:cacheprovider", "--basetemp", str(folder / "t")]
        alone = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # this user lacks packages of other plugins
        options += ["-p", "localrun.pytest_plugin.plugin"]
        done = as_other_user.run(["-m", "pytest", "-q", *options], cwd=folder, env=alone)

        # Then they pass, and nothing is left
        assert "4 passed" in done.stdout, done.stdout + done.stderr
        assert done.returncode == 0
        assert list((folder / "t").rglob("task.json")) == []
        assert containers(docker_engine, folder) == []
    finally:
        for found in docker_engine.images(build_labels(folder.resolve())):
            for tag in found.tags:
                docker_engine.remove_image(tag)


LEAK = """
import pytest, subprocess, sys

@pytest.mark.localrun
def test_leak(tmp_path):
    home = tmp_path / "mine"
    subprocess.run(
        ["docker", "run", "-d", "--label", f"localrun.home={home}", "--label", "localrun.task=MARK",
         "--name", "localrun-MARK", "--network", "none", "BUSYBOX", "sleep", "100"],
        check=True,
    )
"""


@pytest.mark.parametrize("workers", [(), pytest.param(("-n", "2"), marks=pytest.mark.slow)])
def test_a_session_that_leaves_a_container_fails(
    real_project: pytest.Pytester, docker_engine: DockerEngine, busybox: str, workers: tuple[str, ...]
) -> None:
    mark = f"left-{secrets.token_hex(4)}"
    real_project.makepyfile(LEAK.replace("BUSYBOX", busybox).replace("MARK", mark))
    try:
        result = run(real_project, *workers)
        result.assert_outcomes(passed=1)
        assert result.ret == 1
        result.stdout.fnmatch_lines(["*localrun: leftovers*", f"container * of task {mark}"])
    finally:
        for handle in containers(docker_engine, real_project.path):
            docker_engine.remove(handle)


@pytest.mark.parametrize(("how", "code"), [("error", 1), ("warn", 0), ("ignore", 0)])
def test_a_folder_that_cannot_be_removed_is_reported(project: pytest.Pytester, how: str, code: int) -> None:
    project.makepyfile(
        """
        def test_folder(monkeypatch, fake_engine, localrun):
            monkeypatch.setattr("localrun.pytest_plugin.fixtures._remove", lambda *_: None)
            localrun.submit(a=1, b=1).wait()
        """
    )
    result = run_here(project, "--localrun-leaks", how)
    result.assert_outcomes(passed=1)
    assert result.ret == code
    if how == "ignore":
        result.stdout.no_fnmatch_line("*leftovers*")
    else:
        result.stdout.fnmatch_lines(["*localrun: leftovers*", "folder */localrun"])


@pytest.mark.parametrize("ci", [False, True])
def test_without_an_engine_tests_are_skipped_locally_and_fail_on_ci(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, ci: bool
) -> None:
    project.makepyfile(
        """
        import pytest

        @pytest.mark.localrun
        def test_marked():
            assert False

        def test_unmarked(localrun):
            assert False

        def test_fake(fake_engine, localrun):
            fake_engine.plan(outputs={"sum": 1})
            assert localrun(a=1, b=1) == {"sum": 1}
        """
    )
    if ci:
        monkeypatch.setenv("CI", "1")
    result = run_here(project, "--localrun-engine", f"unix://{project.path}/none.sock", "-rsE")
    if ci:
        result.assert_outcomes(passed=1, errors=2)
        result.stdout.fnmatch_lines(
            ["*cannot connect to a container engine at *none.sock*(an error where CI is set*"]
        )
    else:
        result.assert_outcomes(passed=1, skipped=2)
        result.stdout.fnmatch_lines(["*SKIPPED*cannot connect to a container engine at *none.sock*"])


def test_a_bundle_that_cannot_be_built_is_reported_by_every_test_that_needs_it(
    real_project: pytest.Pytester,
) -> None:
    (real_project.path / "Dockerfile").write_text("FROM localrun-test/nothing:none\n")
    real_project.makepyfile(ADD)
    result = run_here(real_project)
    result.assert_outcomes(errors=4)
    result.stdout.fnmatch_lines(["*ImageError*"])

    # Then it shows the reason only, without the frames of localrun
    shown = result.stdout.str().partition("short test summary")[0].split("ERROR at setup of")[1:]
    assert [part.splitlines()[1][:50] for part in shown] == [
        "E   localrun.errors.ImageError: the build failed at"[:50]
    ] * 4
    assert all(len(part.splitlines()) < 8 and "Dockerfile:1" in part for part in shown), shown


def test_a_server_runs_the_image_of_the_bundle(real_project: pytest.Pytester) -> None:
    real_project.makepyfile(
        """
        import pytest

        @pytest.mark.localrun
        def test_server(localrun_server, localrun_bundle):
            task = {"bundle": ".", "image": localrun_bundle.image, "inputs": {"a": 3, "b": 4}}
            made = localrun_server.client.post("/task", {"task": task, "assigned_by": "me"}).json()
            found = localrun_server.client.get(f"/task/{made['task_id']}/wait", timeout=60).json()
            assert found["task"]["outputs"] == {"sum": 7}
        """
    )
    run(real_project).assert_outcomes(passed=1)
