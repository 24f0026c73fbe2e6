"""Tests that need a real Docker engine."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import ssl
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from localrun.engines.base import BuildRequest, ContainerSpec, Exit, Handle
from localrun.engines.dockerd import DockerEngine
from localrun.engines.dockerd.api import label_filter
from localrun.errors import Cause, EngineError, EngineUnreachable, ImageError, MountUnavailable
from tests.conftest import skip_or_fail
from tests.engines.forwarder import Forwarder
from tests.support.images import LABEL_NAME, busybox_layer, image_archive, tar_of

pytestmark = pytest.mark.docker

# the start of a program for arm64 (for amd64, if this machine is arm64)
FOREIGN = (
    b"\x7fELF\x02\x01\x01"
    + bytes(9)
    + b"\x02\x00"
    + (b"\x3e" if os.uname().machine == "aarch64" else b"\xb7")
)


Load = Callable[..., str]


class Shell:
    """Shell scripts in containers of one engine, which are removed afterwards."""

    def __init__(self, engine: DockerEngine, image: str, hosts: Path) -> None:
        self.engine = engine
        self.image = image
        self.hosts = hosts
        self.mark = secrets.token_hex(6)
        self.made: list[Handle] = []

    def create(self, script: str = "exit 0", **changes: Any) -> Handle:
        given: dict[str, Any] = {
            "image": self.image,
            "name": f"localrun-test-{secrets.token_hex(6)}",
            "labels": {"localrun.task": self.mark},
            "command": ("sh", "-c", script),
            "memory": 64 * 1024**2,
            "hosts_file": self.hosts,
        }
        handle = self.engine.create(ContainerSpec(**(given | changes)))
        self.made.append(handle)
        return handle

    def labelled(self) -> list[str]:
        """Return all containers with the label of these scripts, whatever their names are."""
        query = {"all": 1, **label_filter({"localrun.task": self.mark})}
        return [
            found["Id"] for found in self.engine.api.json("GET", "/containers/json", query, action="list")
        ]

    def start(self, script: str, **changes: Any) -> Handle:
        handle = self.create(script, **changes)
        self.engine.start(handle)
        return handle

    def run(self, script: str, **changes: Any) -> tuple[Exit, str]:
        handle = self.start(script, **changes)
        text = b"".join(text for _, text in self.engine.logs(handle)).decode()
        return self.engine.wait(handle), text


@pytest.fixture
def load(docker_engine: DockerEngine) -> Iterator[Load]:
    """Load images made for one test."""
    made: list[str] = []

    def load(layer: bytes | None = None, **config: Any) -> str:
        own = {"localrun.mark": secrets.token_hex(6)}  # different from the images of other sessions
        archive = image_archive(layer or busybox_layer({}), Labels=own, **config)
        made.append(docker_engine.load_image([archive]))
        return made[-1]

    yield load
    for image in made:
        docker_engine.remove_image(image)


@pytest.fixture
def shell(docker_engine: DockerEngine, busybox: str, load: Load, tmp_path: Path) -> Iterator[Shell]:
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 localhost\n::1 localhost\n")
    made = Shell(docker_engine, busybox, hosts)
    yield made
    for handle in made.made:
        docker_engine.remove(handle)


# -- permissions of a container ----------------------------------------------------------------------


@pytest.mark.parametrize("with_hosts_file", [True, False])
def test_without_network_there_is_none_and_yet_localhost_resolves(
    shell: Shell, with_hosts_file: bool
) -> None:
    changes = {} if with_hosts_file else {"hosts_file": None}
    end, text = shell.run(
        "ip -o link | cut -d: -f2; nc localhost 9 2>&1 | grep -q refused && echo there", **changes
    )
    assert text.split() == ["lo", "there"]
    assert end.code == 0


def test_with_network_there_is_one(shell: Shell) -> None:
    _, text = shell.run("ip -o link | cut -d: -f2; cat /etc/hosts", network=True)
    assert "eth0" in text
    assert "localhost" in text


def test_processes_are_counted(shell: Shell) -> None:
    script = "for i in $(seq 40); do sleep 20 & done; echo all"
    end, text = shell.run(script, pids=16)
    assert end.code != 0
    assert "all" not in text


def test_memory_has_no_swap_beside_it_and_too_much_of_it_ends_the_program(shell: Shell) -> None:
    end, _ = shell.run("x=aaaaaaaa; while :; do x=$x$x; done", memory=16 * 1024**2)
    assert end.code == 137
    assert end.oom_killed


def test_privileges_cannot_grow_and_there_is_an_init(shell: Shell) -> None:
    _, text = shell.run("grep NoNewPrivs /proc/self/status; cat /proc/1/comm")
    words = text.split()
    assert words[:2] == ["NoNewPrivs:", "1"]
    assert "init" in words[2]


def test_hardened_drops_capabilities_and_leaves_tmp_writable_only(shell: Shell) -> None:
    script = """grep CapEff /proc/self/status; touch /x 2>/dev/null || echo read-only
        printf '#!/bin/sh\necho ran' > /tmp/x; chmod +x /tmp/x; /tmp/x; ls /out; touch /out/y && echo wrote"""
    end, text = shell.run(script, hardened=True, folders=("/out",))
    assert text.split() == ["CapEff:", "0000000000000000", "read-only", "ran", "wrote"]
    assert end.code == 0


@pytest.mark.parametrize("hardened", [False, True])
def test_folders_without_a_host_path_can_be_written_by_any_user(
    shell: Shell, load: Load, hardened: bool
) -> None:
    image = load(User="1234:1234")
    script = "id -u; touch /deep/out/x /in/x && echo wrote"
    _, text = shell.run(script, image=image, folders=("/deep/out", "/in"), hardened=hardened)
    assert text.split() == ["1234", "wrote"]
    assert b"deep" not in b"".join(shell.engine.copy_out(shell.made[0], "/in"))
    assert shell.labelled() == shell.made


def test_a_folder_s_volume_goes_with_its_container(shell: Shell, docker_engine: DockerEngine) -> None:
    handle = shell.create(folders=("/out",))
    name = next(each["Name"] for each in _inspect(handle)["Mounts"] if each["Destination"] == "/out")
    docker_engine.remove(handle)
    assert name not in _docker("volume", "ls", "-q").split()


def test_the_log_is_kept_within_bounds(shell: Shell) -> None:
    handle = shell.create()
    if shell.engine.info().name == "podman":
        found = shell.engine.api.json("GET", f"/libpod/containers/{handle}/json", action="inspect")
        assert found["HostConfig"]["LogConfig"]["Size"] == "512MB"
        return
    config = _inspect(handle)["HostConfig"]["LogConfig"]
    limits = {"max-file": "4", "max-size": "128m", "compress": "false"}
    assert config == {"Type": "local", "Config": limits}


def test_the_image_s_own_program_user_and_folder_are_kept(shell: Shell, load: Load) -> None:
    image = load(
        Entrypoint=["sh", "-c"], Cmd=["id -u; pwd"], User="7:7", WorkingDir="/tmp", Env=["PATH=/bin"]
    )
    _, text = shell.run("", image=image, command=None)
    assert text.split() == ["7", "/tmp"]


# -- the exit ----------------------------------------------------------------------------------


def test_a_missing_program_is_reported_by_the_init(shell: Shell) -> None:
    end, text = shell.run("", command=("/nope",))
    assert (end.code, text.startswith("[FATAL tini")) in ((127, True), (1, False))  # Docker, Podman
    assert re.search(r"exec \S+(?: failed)?: No such file or directory", text)


def test_a_program_for_another_machine_is_reported_by_the_init(shell: Shell, load: Load) -> None:
    image = load(tar_of({"foreign": FOREIGN, "bin/sh": FOREIGN}, mode=0o755), architecture="arm64")
    _, text = shell.run("", image=image, command=("/foreign",))
    assert re.search(r"exec \S+(?: failed)?: Exec format error", text)
    found = shell.engine.find_image(image)
    assert found is not None
    assert found.architecture == "arm64"


@pytest.mark.parametrize(
    ("config", "told"), [({"User": "nobody-knows"}, "USER"), ({"WorkingDir": "/bin/sh"}, "WORKDIR")]
)
def test_a_failed_start_has_a_remedy(shell: Shell, load: Load, config: dict[str, str], told: str) -> None:
    with pytest.raises(EngineError, match=told):
        shell.start("exit 0", image=load(Env=["PATH=/bin"], **config))


def test_a_program_that_ignores_term_is_ended_within_the_grace(shell: Shell) -> None:
    handle = shell.start('trap "" TERM; echo ready; while :; do sleep 60; done')
    next(shell.engine.logs(handle))
    began = time.monotonic()
    shell.engine.stop(handle, 1)
    assert 0.9 < time.monotonic() - began < 50
    assert shell.engine.wait(handle).code == 137


def test_following_the_log_ends_soon_after_the_program(shell: Shell) -> None:
    handle = shell.start("echo a; exit 0")
    list(shell.engine.logs(handle))
    read = time.time()
    finished = shell.engine.wait(handle).finished
    assert finished is not None
    assert read - finished < 30


def test_a_hosts_file_that_the_engine_does_not_see_is_a_mount_that_is_not_there(shell: Shell) -> None:
    with pytest.raises(MountUnavailable):
        shell.create(hosts_file=Path("/no/such/hosts"))
    assert shell.labelled() == []


def test_more_cpus_than_there_are_is_refused_as_such(shell: Shell) -> None:
    with pytest.raises(EngineError) as raised:
        shell.create(cpus=shell.engine.info().cpus + 1)
    assert raised.value.cause is Cause.CPU_UNAVAILABLE
    assert raised.value.remedy


def test_large_output_comes_through_whole(shell: Shell) -> None:
    handle = shell.start("seq 20000; seq 5 >&2")
    sums = {"stdout": b"", "stderr": b""}
    shell.engine.wait(handle)  # a followed log may have gaps
    for name, text in shell.engine.logs(handle, follow=False):
        sums[name] += text
    assert sums["stdout"].split() == [b"%d" % number for number in range(1, 20001)]
    assert sums["stderr"].split() == [b"1", b"2", b"3", b"4", b"5"]


def test_a_reader_that_stops_reading_does_not_stop_the_program(shell: Shell) -> None:
    # Given an attached reader that reads nothing
    handle = shell.create('yes 0123456789 | head -c 5000000; echo "the end"')
    live = shell.engine.attach(handle)
    assert live is not None
    shell.engine.start(handle)

    # Then the program ends, the engine has its whole output, and the reader learns that it misses some
    assert shell.engine.wait(handle).code == 0
    whole = b"".join(text for _, text in shell.engine.logs(handle, follow=False))
    assert (len(whole), whole[-8:]) == (5_000_008, b"the end\n")
    with pytest.raises(EngineError, match="did not read the task's output in time"):
        list(live)


# -- connections ----------------------------------------------------------------------------------


def test_eight_threads_share_an_engine(shell: Shell) -> None:
    def task(number: int) -> tuple[int, str]:
        end, text = shell.run(f"echo {number}; exit {number}")
        return end.code, text.strip()

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(task, range(8))) == [(number, str(number)) for number in range(8)]


@pytest.fixture
def forwarder(docker_engine: DockerEngine) -> Iterator[Forwarder]:
    made = Forwarder(docker_engine.address)
    yield made
    made.close()


def test_an_engine_that_goes_away_while_we_wait_is_lost_and_found_again(
    shell: Shell, forwarder: Forwarder
) -> None:
    handle = shell.start("echo ready; sleep 60")
    far = DockerEngine(f"tcp://127.0.0.1:{forwarder.port}")
    lost: list[EngineUnreachable] = []

    def wait() -> None:
        try:
            far.wait(handle)
        except EngineUnreachable as error:
            lost.append(error)

    log = far.logs(handle)
    next(log)
    waiting = threading.Thread(target=wait)
    waiting.start()
    while forwarder.accepted < 2:  # its own connection, in addition to that of the log
        os.sched_yield()
    forwarder.cut()
    waiting.join(60)
    assert [error.cause for error in lost] == [Cause.ENGINE_LOST]
    with pytest.raises(EngineUnreachable, match="lost the connection"):
        list(log)
    far.stop(handle, 0)
    assert far.wait(handle).code == 137
    far.close()


def test_an_engine_behind_tls_is_reached_with_its_certificates(
    docker_engine: DockerEngine, tmp_path: Path
) -> None:
    if not shutil.which("openssl"):
        skip_or_fail("openssl is not installed")
    names = ("-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "cert.pem"))
    subject = ("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names, *subject]
    subprocess.run(command, check=True, capture_output=True)
    shutil.copy(tmp_path / "cert.pem", tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    context.load_verify_locations(tmp_path / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    forwarder = Forwarder(docker_engine.address, context)
    engine = DockerEngine(f"tcp://127.0.0.1:{forwarder.port}", certificates=tmp_path)
    try:
        assert engine.info().name == docker_engine.info().name
        assert engine.find({"localrun.task": "nothing"}) == []
    finally:
        engine.close()
        forwarder.close()


def test_missing_certificates_are_reported(tmp_path: Path) -> None:
    with pytest.raises(EngineUnreachable, match="no TLS certificates") as raised:
        DockerEngine("tcp://127.0.0.1:1", certificates=tmp_path).info()
    assert "ca.pem" in raised.value.remedy


def _ssh(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Put a fake `ssh` into PATH that runs the remote command locally."""
    path = folder / "ssh"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def test_an_engine_is_reached_over_ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shell: Shell) -> None:
    _ssh(tmp_path, monkeypatch, f'echo "$@" >> {tmp_path}/called; exec docker system dial-stdio')
    engine = DockerEngine("ssh://me@lab:2222")
    try:
        handle = shell.start("echo hello")
        assert list(engine.logs(handle)) == [("stdout", b"hello\n")]
        assert engine.wait(handle).code == 0
    finally:
        engine.close()
    called = (tmp_path / "called").read_text().splitlines()
    assert called[0].endswith("-l me -p 2222 -- lab docker system dial-stdio")
    assert len(called) == 1


def test_the_error_output_of_ssh_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _ssh(tmp_path, monkeypatch, "echo 'lab: no such host' >&2; exit 255")
    with pytest.raises(EngineUnreachable, match="lab: no such host"):
        DockerEngine("ssh://lab").info()


def test_a_run_imports_no_docker_py(busybox: str) -> None:
    script = (
        "import os, sys; from localrun.engines.dockerd import DockerEngine;"
        " e = DockerEngine(os.environ.get('DOCKER_HOST'));"
        f" e.find_image({busybox!r}); e.close(); sys.exit(len({{'docker', 'requests'}} & {{*sys.modules}}))"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("User", "1000:nogrp"),
        ("User", "nobody-here"),
        ("User", "nobody-here:nogrp"),
        ("User", "99999999999"),
        ("User", "-5"),
        ("User", "1000:99999999999"),
        ("User", "a:b:c"),
        ("WorkingDir", "/bin/sh/x"),
        ("Cmd", None),
    ],
)
def test_mistakes_in_an_image_are_not_failures_of_the_engine(
    docker_engine: DockerEngine, setting: str, value: str | None
) -> None:
    name = f"localrun-test/mistake:{secrets.token_hex(4)}"
    config: dict[str, Any] = {"Cmd": ["true"], "Env": ["PATH=/bin"], setting: value}
    docker_engine.load_image([image_archive(busybox_layer({}), name, **config)])
    handle = ""
    try:
        with pytest.raises(EngineError) as raised:  # noqa: PT012
            handle = docker_engine.create(
                ContainerSpec(image=name, name=name.replace("/", "-").replace(":", "-"))
            )
            docker_engine.start(handle)
        assert raised.value.cause is Cause.ENTRYPOINT_INVALID
        assert "Dockerfile" in raised.value.remedy or "USER" in raised.value.remedy
    finally:
        if handle:
            docker_engine.remove(handle)
        docker_engine.remove_image(name)


# -- builds ---------------------------------------------------------------------------------------


class Builder:
    """A folder to build."""

    def __init__(self, engine: DockerEngine, folder: Path, base: str) -> None:
        self.engine = engine
        self.folder = folder
        self.base = base
        self.name = f"localrun-test/{secrets.token_hex(6)}:1"

    def build(self, dockerfile: str, **args: str) -> str:
        (self.folder / "Dockerfile").write_text(dockerfile.replace("BASE", self.base))
        return self.engine.build_image(BuildRequest(self.folder, self.name, build_args=args)).id

    def refused(self, dockerfile: str) -> ImageError:
        with pytest.raises(ImageError) as raised:
            self.build(dockerfile)
        assert raised.value.cause is Cause.IMAGE_BUILD_FAILED
        return raised.value


@pytest.fixture
def builder(classic_engine: DockerEngine, busybox: str, tmp_path: Path) -> Iterator[Builder]:
    folder = tmp_path / "context"
    folder.mkdir()
    made = Builder(classic_engine, folder, busybox)
    yield made
    classic_engine.remove_image(made.name)


def _unnamed(builder: Builder) -> set[str]:
    """Return the images without a name that were built from the same image."""
    return {image.id for image in builder.engine.images({LABEL_NAME: builder.base}) if not image.tags}


def test_a_failed_build_names_its_step_and_leaves_nothing(builder: Builder) -> None:
    before = _unnamed(builder)
    mark = secrets.token_hex(6)
    error = builder.refused(f"FROM BASE\nRUN echo {mark} > /mark\nRUN echo made it this far; exit 3\n")
    assert "RUN echo made it this far; exit 3" in error.message
    assert "made it this far" in error.message.rpartition("code: 3")[2]
    assert error.facts["instruction"] == "RUN echo made it this far; exit 3"
    assert _unnamed(builder) == before


def test_the_remedy_of_a_missing_base_image_is_how_to_get_one(builder: Builder) -> None:
    error = builder.refused("FROM localhost:1/localrun-test/none:1\n")
    assert "--build-context localhost:1/localrun-test/none:1=docker-image://LOCAL" in error.remedy
    assert "docker import" in error.remedy


def test_a_dockerfile_that_needs_buildkit_is_reported(builder: Builder) -> None:
    if builder.engine.builder_info().kind == "buildah":
        pytest.skip("Podman's own builder has these features")
    error = builder.refused("FROM BASE\nRUN --mount=type=cache,target=/x true\n")
    assert "BuildKit" in error.remedy


def test_ignored_files_stay_outside(builder: Builder) -> None:
    (builder.folder / ".dockerignore").write_text("# not this\nsecret*\n")
    (builder.folder / "secret.txt").write_text("x")
    (builder.folder / "public.txt").write_text("x")
    builder.build("FROM BASE\nCOPY . /all\nRUN test -e /all/public.txt && test ! -e /all/secret.txt\n")


def test_a_name_that_moves_to_a_new_build_leaves_no_image_without_a_name(builder: Builder) -> None:
    before = _unnamed(builder)
    first = builder.build(f"FROM BASE\nLABEL a={secrets.token_hex(6)}\n")
    second = builder.build(f"FROM BASE\nLABEL a={secrets.token_hex(6)}\n")
    assert first != second
    assert _unnamed(builder) == before
    assert builder.engine.find_image(first) is None


def test_the_bytes_of_the_context_are_reported_while_they_are_sent(builder: Builder) -> None:
    said: list[tuple[str, int, int | None]] = []
    (builder.folder / "weights").write_bytes(bytes(3 << 20))
    (builder.folder / "Dockerfile").write_text(f"FROM {builder.base}\n")
    builder.engine.build_image(BuildRequest(builder.folder, builder.name), lambda *step: said.append(step))
    sent = [done for what, done, _ in said if what == "sending the context"]
    assert len(sent) >= 3
    assert sent == sorted(sent)
    assert sent[-1] > 3 << 20


def test_a_build_that_is_interrupted_leaves_nothing(builder: Builder) -> None:
    if builder.engine.builder_info().kind == "buildah":
        pytest.skip("Podman finishes the instruction of an aborted build, and keeps its images until then")
    before = _unnamed(builder)

    class Interrupted(BaseException):
        pass

    def progress(what: str, done: int, total: int | None) -> None:
        if done == 3:
            raise Interrupted

    (builder.folder / "Dockerfile").write_text(
        f"FROM {builder.base}\nRUN echo {secrets.token_hex(6)} > /mark\nRUN sleep 30\n"
    )
    with pytest.raises(Interrupted):
        builder.engine.build_image(BuildRequest(builder.folder, builder.name), progress)
    assert _unnamed(builder) == before


def _docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True).stdout


def _inspect(handle: Handle) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(_docker("inspect", handle))[0]
    return found
