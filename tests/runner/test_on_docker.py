"""Runs on a real engine."""

from __future__ import annotations

import os
import secrets
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, Any

import pytest

from localrun.engines.dockerd import DockerEngine
from localrun.engines.labels import LABEL_TASK
from localrun.task.log import tail_by_stream
from localrun.task.states import TaskState
from tests.conftest import OtherUser, skip_or_fail
from tests.engines.forwarder import Forwarder
from tests.support.environment import Environment, make_environment
from tests.support.images import busybox_layer, image_archive, tar_of

pytestmark = pytest.mark.docker

ADD = "echo $(( $(cat /inputs/a) + $(cat /inputs/b) )) > /outputs/sum"
VALUES = {"values": {"a": 3, "b": 4}}
MakeEnvironment = Callable[..., AbstractContextManager[Environment]]


@pytest.fixture
def docker_env(docker_engine: DockerEngine, tmp_path: Path) -> MakeEnvironment:
    """An environment whose image runs a shell script."""

    @contextmanager
    def make(
        script: str = ADD, *, image: dict[str, Any] | None = None, **settings: Any
    ) -> Iterator[Environment]:
        name = f"localrun-test/run:{secrets.token_hex(4)}"
        config = {"Cmd": ["sh", "-c", script], "Env": ["PATH=/bin"], **(image or {})}
        docker_engine.load_image([image_archive(busybox_layer({}), name, **config)])
        try:
            with make_environment(tmp_path, engine=docker_engine, image=name, **settings) as env:
                yield env
        finally:
            docker_engine.remove_image(name)

    return make


def test_a_bundle_runs_end_to_end_and_leaves_no_container(docker_env: MakeEnvironment) -> None:
    with docker_env() as env:
        record = env.run(**VALUES)
        assert env.engine.find({LABEL_TASK: record.id}) == []
    assert (record.state, record.outputs, record.warnings) == (TaskState.FINISHED, {"sum": 7}, [])


@pytest.mark.parametrize("user", ["", "1234:1234"])
def test_any_user_of_the_image_reads_the_inputs_and_writes_the_outputs(
    docker_env: MakeEnvironment, user: str
) -> None:
    with docker_env(image={"User": user}) as env:
        assert env.run(**VALUES).outputs == {"sum": 7}


def test_the_images_entrypoint_command_user_and_workdir_are_used(docker_env: MakeEnvironment) -> None:
    config = {
        "Entrypoint": ["sh", "-c"],
        "Cmd": ["id -u; pwd; echo 7 > /outputs/sum"],
        "User": "77",
        "WorkingDir": "/tmp",
    }
    with docker_env(image=config) as env:
        record = env.run(**VALUES)
    assert (Path(record.folder) / "logs/task.log").read_text().split() == ["77", "/tmp"]


def test_inputs_are_read_only_by_default(docker_env: MakeEnvironment) -> None:
    script = "echo 9 > /inputs/a && cat /inputs/a > /outputs/sum"
    with docker_env(script) as env:
        refused = env.run(**VALUES)
        allowed = env.run(**VALUES, writable_inputs=True)
    assert refused.state is TaskState.FAILED
    assert "Read-only" in refused.message
    assert allowed.outputs == {"sum": 9}


def test_a_task_has_no_network_by_default_but_localhost_resolves(
    docker_env: MakeEnvironment,
) -> None:
    script = (
        "ls /sys/class/net; cat /proc/net/route | wc -l;"
        " nc localhost 9 2>&1 | grep -q 'refused'; echo $? > /outputs/sum"
    )
    with docker_env(script) as env:
        off = env.run(**VALUES)
        on = env.run(**VALUES, network=True)
    assert (Path(off.folder) / "logs/task.log").read_text().split() == ["lo", "1"]
    assert "eth0" in (Path(on.folder) / "logs/task.log").read_text()
    assert (off.outputs, on.outputs) == ({"sum": 0}, {"sum": 0})


def test_a_timeout_stops_a_program_that_ignores_sigterm(
    docker_env: MakeEnvironment,
) -> None:
    with docker_env("trap '' TERM; while :; do sleep 1; done", grace=0.5) as env:
        record = env.run(**VALUES, timeout=0.5)
        assert env.engine.find({LABEL_TASK: record.id}) == []
    assert (record.cause, record.exit_code, record.oom) == ("TIMEOUT", 137, "no")


def test_a_program_that_ends_on_sigterm_is_not_waited_for(docker_env: MakeEnvironment) -> None:
    with docker_env("trap 'exit 0' TERM; echo 7 > /outputs/sum; sleep 60 & wait", grace=60) as env:
        record = env.run(**VALUES, timeout=0.5)
    assert record.cause == "TIMEOUT"
    assert record.timings["run"] < 30
    assert record.outputs == {"sum": 7}


def test_out_of_memory_is_recognised(docker_env: MakeEnvironment) -> None:
    with docker_env("tail /dev/zero") as env:
        record = env.run(**VALUES, memory=16 * 1024**2)
    assert (record.state, record.cause) == (TaskState.FAILED, "OUT_OF_MEMORY")
    assert record.oom in ("yes", "suspected")
    assert "16 MiB" in record.message


def test_a_signal_is_reported_by_name(docker_env: MakeEnvironment) -> None:
    with docker_env("kill -SEGV $$") as env:
        record = env.run(**VALUES)
    assert (record.cause, record.signal) == ("SIGNAL", "SIGSEGV")


def test_a_missing_program_is_named(docker_env: MakeEnvironment) -> None:
    with docker_env(image={"Cmd": ["/app/nothing"]}) as env:
        record = env.run(**VALUES)
    assert record.cause == "ENTRYPOINT_INVALID"
    assert "/app/nothing" in record.message


def test_an_image_for_another_architecture_is_recognised(docker_engine: DockerEngine, tmp_path: Path) -> None:
    name = f"localrun-test/foreign:{secrets.token_hex(4)}"
    elf = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\xb7\x00" + bytes(44)  # an ARM 64 header
    archive = image_archive(
        tar_of({"go": elf, "bin/sh": elf}, mode=0o755), name, architecture="arm64", Cmd=["/go"]
    )
    docker_engine.load_image([archive])
    try:
        with make_environment(tmp_path, engine=docker_engine, image=name) as env:
            record = env.run(**VALUES)
    finally:
        docker_engine.remove_image(name)
    assert record.cause == "IMAGE_PLATFORM"
    assert "arm64" in record.message


def test_outputs_of_a_failed_task_are_collected(docker_env: MakeEnvironment) -> None:
    with docker_env("echo 7 > /outputs/sum; echo oh no >&2; exit 3") as env:
        record = env.run(**VALUES)
    assert (record.cause, record.exit_code, record.outputs) == ("EXIT_NONZERO", 3, {"sum": 7})
    assert "oh no" in record.message


@pytest.mark.parametrize("make", ["ln -s /etc/hostname", "busybox mkfifo", "busybox mknod -m 666"])
def test_links_pipes_and_devices_in_the_outputs_are_rejected(docker_env: MakeEnvironment, make: str) -> None:
    with docker_env(f"{make} /outputs/sum {'c 1 5' if 'mknod' in make else ''}") as env:
        if "mknod" in make and env.engine.info().name == "podman":
            pytest.skip("Podman's containers cannot create devices")
        record = env.run(**VALUES)
    assert (record.cause, record.outputs) == ("OUTPUTS_INVALID", {})
    assert "sum" in record.problems[0]["path"]


def test_a_hardened_task_has_no_capabilities_and_a_read_only_root(docker_env: MakeEnvironment) -> None:
    script = "touch /x 2>/dev/null || grep CapEff /proc/self/status; touch /tmp/x && echo 7 > /outputs/sum"
    with docker_env(script) as env:
        record = env.run(**VALUES, hardened=True)
    assert record.outputs == {"sum": 7}
    assert (Path(record.folder) / "logs/task.log").read_text().split() == ["CapEff:", "0" * 16]


def test_a_large_local_file_is_mounted_and_not_copied(docker_env: MakeEnvironment, tmp_path: Path) -> None:
    scan = tmp_path / "scan.bin"
    with scan.open("wb") as stream:
        stream.truncate(1024**3)
    with docker_env("stat -c %s /inputs/scan > /outputs/sum") as env:
        text = env.bundle.read_text().replace(
            "inputs:\n  a:", "inputs:\n  scan: {type: file, description: d, display_name: S}\n  a:"
        )
        env.bundle.write_text(text)
        record = env.run(values={"a": 1, "b": 2, "scan": scan})
        (inside,) = Path(record.folder).glob("inputs/scan")
    assert record.outputs == {"sum": 1024**3}
    assert inside.samefile(scan) or inside.stat().st_blocks == 0  # a link, or a clone
    assert stat.S_IMODE(scan.stat().st_mode) == 0o644


# -- a remote engine ------------------------------------------------------------------------------


@pytest.fixture
def tcp_engine(docker_engine: DockerEngine) -> Iterator[str]:
    """The engine on a TCP port of the loopback interface."""
    forwarder = Forwarder(docker_engine.address)
    yield f"tcp://127.0.0.1:{forwarder.port}"
    forwarder.close()


@pytest.mark.parametrize("hardened", [False, True])
def test_files_are_copied_as_archives_with_a_remote_engine(
    docker_env: MakeEnvironment, tcp_engine: str, tmp_path: Path, hardened: bool
) -> None:
    if os.geteuid() != 0:
        skip_or_fail("only root can hide a folder from the engine")
    script = "mkdir -p /outputs/deep; umask 077; cat /inputs/a /inputs/b > /outputs/sum; ls -l /inputs"
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    with docker_env(script, image={"User": "1234"}) as env:
        run = (
            f"mount -t tmpfs none {hidden} && cp {env.bundle} {hidden}/descriptor.yml && cd {hidden} && "
            f"{sys.executable} -m localrun run descriptor.yml --image {env.image} -i a=3 -i b=4 --json "
            f"{'--hardened' if hardened else ''}"
        )
        done = subprocess.run(
            ["unshare", "-m", "sh", "-c", run],
            env={**os.environ, "DOCKER_HOST": tcp_engine, "LOCALRUN_CACHE": str(tmp_path / "cache")},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert '"sum": 34' in done.stdout or '"sum":34' in done.stdout
    assert "copying inputs and outputs as archives" in done.stderr


# -- an ordinary member of the docker group --------------------------------------------------------


def test_an_ordinary_user_owns_and_can_delete_the_outputs_of_a_root_task(
    docker_env: MakeEnvironment, as_other_user: OtherUser
) -> None:
    script = (
        "umask 077; mkdir -p /outputs/deep/er; echo x > /outputs/deep/er/file; echo 7 > /outputs/sum;"
        " chmod 000 /outputs/deep/er; ln -s sum /outputs/alias"
    )
    folder = as_other_user.folder("outputs")
    with docker_env(script) as env:
        bundle = folder / "descriptor.yml"
        bundle.write_text(env.bundle.read_text())
        done = as_other_user.localrun(
            "run", "descriptor.yml", "--image", env.image, "-i", "a=3", "-i", "b=4", "-o", "out", cwd=folder
        )
        assert done.returncode == 0, done.stderr
        deep = next(folder.glob(".localrun/tasks/*/outputs/deep/er/file"))
        assert (deep.stat().st_uid, deep.read_text()) == (as_other_user.uid, "x\n")
        assert (folder / "out" / "sum").stat().st_uid == as_other_user.uid
        removed = as_other_user.localrun("rm", "last", cwd=folder)
        assert removed.returncode == 0, removed.stderr
    assert list((folder / ".localrun/tasks").iterdir()) == []


def test_a_private_file_is_copied_and_left_unchanged(
    docker_env: MakeEnvironment, as_other_user: OtherUser
) -> None:
    folder = as_other_user.folder("private")
    secret = folder / "scan.bin"
    secret.write_text("12345")
    os.chown(secret, as_other_user.uid, as_other_user.gid)
    secret.chmod(0o600)
    with docker_env("wc -c < /inputs/scan > /outputs/sum", image={"User": "1234"}) as env:
        text = env.bundle.read_text().replace(
            "inputs:\n  a:", "inputs:\n  scan: {type: file, description: d, display_name: S}\n  a:"
        )
        (folder / "descriptor.yml").write_text(text)
        done = as_other_user.localrun(
            *["run", "descriptor.yml", "--image", env.image, "--json"],
            *["-i", "a=3", "-i", "b=4", "-i", "scan=@scan.bin"],
            cwd=folder,
        )
    assert done.returncode == 0, done.stderr
    assert (stat.S_IMODE(secret.stat().st_mode), secret.read_text()) == (0o600, "12345")


def test_a_silent_build_is_aborted_by_a_kill_and_leaves_nothing(
    docker_engine: DockerEngine, tmp_path: Path
) -> None:
    if docker_engine.builder_info().kind == "buildah":
        pytest.skip("Podman finishes the instruction of an aborted build, and keeps its images until then")
    # Given a build whose second step has no output for ten minutes
    mark = secrets.token_hex(4)
    base = f"localrun-test/silent:{mark}"
    labels = {"localrun-test": mark}  # its containers inherit them
    archive = image_archive(busybox_layer({}), base, Cmd=["sh"], Env=["PATH=/bin"], Labels=labels)
    loaded = docker_engine.load_image([archive])
    (tmp_path / "Dockerfile").write_text(f"FROM {base}\nRUN echo one > /one\nRUN sleep 600\n")
    try:
        with make_environment(tmp_path, engine=docker_engine, image=base) as env, started(mark) as events:
            task = env.submit(values={"a": 1, "b": 2}, image=None, bundle=tmp_path)
            assert all(events.readline() for _ in ("one", "two"))

            # When it is killed
            env.app.manager.kill(task)
            record = env.app.manager.wait(task, 120)

        # Then it ends, without its container and the image of its first step
        assert record is not None
        assert record.state is TaskState.KILLED
        assert docker_engine.find(labels) == []
        assert [image.id for image in docker_engine.images(labels)] == [loaded]
    finally:
        docker_engine.remove_image(base)


@contextmanager
def started(mark: str) -> Iterator[IO[str]]:
    """Return a line for each container with the mark that starts."""
    now = str(int(time.time()) - 1)
    filters = ("--filter", f"label=localrun-test={mark}", "--filter", "event=start")
    with subprocess.Popen(
        ["docker", "events", "--since", now, *filters], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout
        finally:
            process.kill()


def test_the_limits_that_the_record_names_are_those_that_the_program_has_not_got(
    docker_env: MakeEnvironment,
) -> None:
    # Given a program that looks at its own control group, of version 2 or 1
    script = (
        "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null;"
        " echo 7 > /outputs/sum"
    )
    with docker_env(script) as env:
        record = env.run(**VALUES)
        machine = env.engine.info().memory
    limits = (Path(record.folder) / "logs/task.log").read_text().split()
    assert limits, "the engine mounts no control groups"

    # Then its memory is limited to what was requested, or the record and a warning say that it is not
    is_limited = limits[0].isdigit() and int(limits[0]) < machine
    assert ("memory" in record.unenforced) is not is_limited
    assert any("does not enforce" in warning for warning in record.warnings) is bool(record.unenforced)
    if is_limited:
        assert int(limits[0]) == record.resources.memory


def test_no_line_of_a_long_log_is_lost_and_streams_are_kept_apart(docker_env: MakeEnvironment) -> None:
    # a followed log of Podman 5.4 has gaps
    script = "seq 20000 | sed 's/^/out /'; seq 300 | sed 's/^/err /' >&2; echo 7 > /outputs/sum"
    with docker_env(script) as env:
        record = env.run(**VALUES)
    # by stream: the engine reads two pipes, so one stream may continue within a line of the other
    log = tail_by_stream(Path(record.folder) / "logs/task.log", 10**6)
    assert log["stdout"].splitlines() == [f"out {n}" for n in range(1, 20001)]
    assert log["stderr"].splitlines() == [f"err {n}" for n in range(1, 301)]
    assert not [warning for warning in record.warnings if "log" in warning]
