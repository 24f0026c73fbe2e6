"""Podman's answers, as versions 4.3 and 5.8 give them."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from localrun.engines.base import LIMITS, BuildRequest, ContainerSpec, Mount
from localrun.engines.dockerd import DockerEngine
from localrun.errors import (
    Cause,
    ContainerFileMissing,
    ContainerGone,
    EngineError,
    ImageError,
    MountUnavailable,
)
from tests.support.socket_engine import PING, PODMAN_PING, Answer, SocketEngine, http

HANDLE, IMAGE = "c" * 64, "sha256:" + "a" * 64
SPEC = ContainerSpec(image=IMAGE, name="localrun-x", labels={"localrun.task": "x"})
ISOLATED = {
    "HostConfig": {"NetworkMode": "none"},
    "NetworkSettings": {"Networks": {"none": {}}},
    "Config": {"Cmd": ["true"]},
}
INFO = {
    "ServerVersion": "4.3.1",
    "OSType": "linux",
    "Architecture": "amd64",
    "NCPU": 2,
    "MemTotal": 1 << 30,
    "DockerRootDir": "/var/lib/containers/storage",
    "BuildahVersion": "1.28.2",
    "SecurityOptions": ["name=seccomp,profile=default"],
    "CgroupVersion": "1",
}
Connect = Callable[..., tuple[DockerEngine, SocketEngine]]


@pytest.fixture
def connect(tmp_path: Path) -> Iterator[Connect]:
    opened: list[Any] = []

    def start(answer: Answer, ping: bytes = PODMAN_PING) -> tuple[DockerEngine, SocketEngine]:
        def with_info(method: str, path: str) -> bytes:
            given = answer(method, path)
            return found(INFO) if path == "/info" and b"ServerVersion" not in given else given

        path = tmp_path / f"{len(opened)}.sock"
        server = SocketEngine(path, with_info, ping)
        engine = DockerEngine(f"unix://{path}", config=tmp_path / "config")
        opened.extend([engine, server])
        return engine, server

    yield start
    for one in opened:
        one.close()


def found(body: object) -> bytes:
    return http(json.dumps(body).encode())


def refused(message: str, status: str = "500 Internal Server Error") -> bytes:
    return http(json.dumps({"message": message}).encode(), status)


def image(*names: str) -> Mapping[str, object]:
    return {"Id": IMAGE, "Os": "linux", "Architecture": "amd64", "Size": 1, "Config": {}, "RepoTags": names}


# -- names of images ------------------------------------------------------------------------------

STORED = (
    "localhost/localrun/build:1",
    "docker.io/localrun/build:1",
    "docker.io/library/python:3",
    "localhost:5000/count:1",
    "ghcr.io/lab/count:2",
)


def test_names_are_found_without_the_prefixes_of_podman(connect: Connect) -> None:
    engine, _ = connect(lambda _method, _path: found(image(*STORED)))
    made = engine.find_image("localrun/build:1")
    assert made is not None
    assert made.tags == ("localrun/build:1", "python:3", "localhost:5000/count:1", "ghcr.io/lab/count:2")


def test_names_of_docker_are_kept(connect: Connect) -> None:
    engine, _ = connect(lambda _method, _path: found(image(*STORED)), PING)
    made = engine.find_image("localrun/build:1")
    assert made is not None
    assert made.tags == STORED


def test_the_names_of_a_loaded_image_are_separated(connect: Connect) -> None:
    loaded = {"stream": "Loaded image: localhost/a:1,localhost/a:2"}
    engine, server = connect(lambda method, _path: found(loaded if method == "POST" else image("a:1")))
    assert engine.load_image([b"tar"]) == IMAGE
    assert [path for method, path in server.requests if method == "GET" and path != "/_ping"] == [
        "/images/localhost/a:1/json",
        "/images/localhost/a:2/json",
    ]


def test_a_damaged_archive_is_an_error_of_the_image(connect: Connect) -> None:
    reason = (
        "failed to load image: payload does not match any of the supported image formats:\n"
        " * docker-archive: unexpected EOF"
    )
    engine, _ = connect(lambda _method, _path: refused(reason))
    with pytest.raises(ImageError, match="cannot load the image: unexpected EOF\n"):
        engine.load_image([b"tar"])


def test_an_image_with_multiple_names_is_removed_by_its_id(connect: Connect) -> None:
    reason = f'unable to delete image "{IMAGE}" by ID with more than one tag ([localhost/a:1 localhost/a:2])'

    def answer(method: str, path: str) -> bytes:
        if method == "GET":
            return found(image("localhost/a:1", "localhost/a:2"))
        return refused(reason) if IMAGE in path else found([])

    engine, server = connect(answer)
    engine.remove_image(IMAGE)
    assert [path for method, path in server.requests if method == "DELETE"][1:] == [
        "/images/a:1",
        "/images/a:2",
    ]


# -- lists ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("ping", [PING, PODMAN_PING], ids=["docker", "podman"])
def test_no_empty_filter_is_sent(connect: Connect, ping: bytes) -> None:
    engine, server = connect(lambda _method, _path: found([]), ping)
    engine.images({})
    engine.find({})
    engine.images({"localrun.build": ""})
    paths = [path for _, path in server.requests if path != "/_ping"]
    assert paths[:2] == ["/images/json", "/containers/json?all=1"]
    assert "localrun.build" in paths[2]


# -- networks -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "networks", [{"bridge": {}}, {"podman": {}}, {"host": {}}, {"none": {}, "podman": {}}], ids=str
)
@pytest.mark.parametrize("ping", [PING, PODMAN_PING], ids=["docker", "podman"])
def test_a_container_with_a_network_that_it_must_not_have_is_refused_and_removed(
    connect: Connect, ping: bytes, networks: dict[str, object]
) -> None:
    shown = ISOLATED | {"NetworkSettings": {"Networks": networks}}
    engine, server = connect(lambda method, _: found({"Id": HANDLE} if method == "POST" else shown), ping)
    with pytest.raises(EngineError, match="must not have a network") as raised:
        engine.create(SPEC)
    assert "--network" in raised.value.remedy
    assert ("DELETE", f"/containers/{HANDLE}?force=1&v=1") in server.requests


@pytest.mark.parametrize("mode", ["default", "bridge", "slirp4netns", "pasta", "host", ""])
def test_an_engine_that_ignores_the_mode_is_refused(connect: Connect, mode: str) -> None:
    shown = ISOLATED | {"HostConfig": {"NetworkMode": mode}, "NetworkSettings": {}}
    engine, _ = connect(lambda method, _: found({"Id": HANDLE} if method == "POST" else shown))
    with pytest.raises(EngineError, match="must not have a network"):
        engine.create(SPEC)


@pytest.mark.parametrize("networks", [None, {}, {"none": {}}], ids=str)
def test_a_container_without_a_network_is_accepted(connect: Connect, networks: object) -> None:
    shown = ISOLATED | {"NetworkSettings": {"Networks": networks}}
    engine, _ = connect(lambda method, _: found({"Id": HANDLE} if method == "POST" else shown))
    assert engine.create(SPEC) == HANDLE


def test_a_container_may_have_the_network_that_it_asked_for(connect: Connect) -> None:
    shown = ISOLATED | {
        "HostConfig": {"NetworkMode": "default"},
        "NetworkSettings": {"Networks": {"bridge": {}}},
    }
    engine, _ = connect(lambda method, _: found({"Id": HANDLE} if method == "POST" else shown))
    assert engine.create(replace(SPEC, network=True)) == HANDLE


# -- mounts ---------------------------------------------------------------------------------------


def stat_header(path: Path | None, shift: float = 0.0) -> str:
    if path is None:
        return ""
    stamp = datetime.fromtimestamp(path.stat().st_mtime + shift, UTC).isoformat().replace("+00:00", "Z")
    return base64.b64encode(json.dumps({"name": "in", "mtime": stamp}).encode()).decode()


def answering(header: Callable[[], str]) -> Answer:
    def answer(method: str, _path: str) -> bytes:
        if method == "HEAD":
            shown = header()
            line = f"X-Docker-Container-Path-Stat: {shown}\r\n"
            return http(b"", "200 OK", line) if shown else http(b"", "404 Not Found", "Connection: close\r\n")
        return found({"Id": HANDLE} if method == "POST" else ISOLATED)

    return answer


def test_a_missing_path_is_reported_before_podman_creates_it(connect: Connect, tmp_path: Path) -> None:
    engine, server = connect(answering(str))
    missing = tmp_path / "missing"
    for changes in ({"mounts": (Mount(missing, "/in"),)}, {"hosts_file": missing}):
        with pytest.raises(MountUnavailable, match="missing"):
            engine.create(replace(SPEC, **changes))
    assert {method for method, _ in server.requests} <= {"GET"}


@pytest.mark.parametrize("shift", [None, 3600.0], ids=["nothing", "another folder"])
def test_a_folder_that_podman_has_created_is_not_taken_for_this_machines(
    connect: Connect, tmp_path: Path, shift: float | None
) -> None:
    engine, server = connect(answering(lambda: "" if shift is None else stat_header(tmp_path, shift)))
    with pytest.raises(MountUnavailable, match="cannot see a path"):
        engine.create(replace(SPEC, mounts=(Mount(tmp_path, "/in"),)))
    assert ("DELETE", f"/containers/{HANDLE}?force=1&v=1") in server.requests


def looked_at(server: SocketEngine) -> list[str]:
    return [path.partition("?path=")[2] for method, path in server.requests if method == "HEAD"]


def test_folders_are_compared_and_the_files_next_to_them_are_shared_too(
    connect: Connect, tmp_path: Path
) -> None:
    (tmp_path / "scan.png").touch()
    mounts = (Mount(tmp_path, "/in"), Mount(tmp_path / "scan.png", "/in/scan"), Mount(tmp_path, "/out"))
    engine, server = connect(answering(lambda: stat_header(tmp_path)))
    assert engine.create(replace(SPEC, mounts=mounts)) == HANDLE
    assert looked_at(server) == ["%2Fin", "%2Fout"]


def test_a_file_of_another_disk_is_looked_at_in_a_container_of_its_own(
    connect: Connect, tmp_path: Path
) -> None:
    # Podman does not look at a mounted file
    other = Path("/etc/passwd")
    headers = iter([tmp_path, other])
    engine, server = connect(answering(lambda: stat_header(next(headers))))
    engine.create(replace(SPEC, mounts=(Mount(tmp_path, "/in"), Mount(other, "/in/scan"))))
    assert looked_at(server) == ["%2Fin", "%2F0%2Fpasswd"]
    assert [method for method, _ in server.requests].count("DELETE") == 1


def test_a_file_that_podman_does_not_see_is_reported(connect: Connect, tmp_path: Path) -> None:
    headers = iter([tmp_path, *[None] * 3])
    engine, server = connect(answering(lambda: stat_header(next(headers))))
    with pytest.raises(MountUnavailable, match="/etc/passwd"):
        engine.create(replace(SPEC, mounts=(Mount(tmp_path, "/in"), Mount(Path("/etc/passwd"), "/in/scan"))))
    assert [method for method, _ in server.requests].count("DELETE") == 2


# -- limits and programs --------------------------------------------------------------------------


LIMITED = {"Memory": 1 << 26, "MemorySwap": 1 << 26, "PidsLimit": 99, "NanoCpus": 10**9, "CpuQuota": 0}


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({}, ()),
        ({"NanoCpus": 0, "CpuQuota": 100000}, ()),
        ({"Memory": 0, "MemorySwap": 0, "PidsLimit": 0, "NanoCpus": 0}, LIMITS),
        ({"MemorySwap": -1}, ("swap",)),
        ({"PidsLimit": None}, ("pids",)),
        ({"NanoCpus": 0}, ("cpu",)),
    ],
    ids=str,
)
@pytest.mark.parametrize("ping", [PING, PODMAN_PING], ids=["docker", "podman"])
def test_limits_that_a_container_has_not_got_are_known(
    connect: Connect, ping: bytes, changes: dict[str, object], missing: tuple[str, ...]
) -> None:
    # although the engine says that it supports all of them
    shown = ISOLATED | {"HostConfig": {"NetworkMode": "none", **LIMITED, **changes}}
    engine, _ = connect(lambda method, _: found({"Id": HANDLE} if method == "POST" else shown), ping)
    assert engine.info().unenforced == ()
    engine.create(SPEC)
    assert engine.info().unenforced == missing


SUPPORTED = {"MemoryLimit": True, "SwapLimit": True, "PidsLimit": True, "CpuCfsQuota": True}


@pytest.mark.parametrize(
    ("changes", "controllers", "missing"),
    [
        ({}, None, ()),
        ({"SwapLimit": False}, None, ("swap",)),
        ({"Rootless": True}, ["cpu", "memory", "pids"], LIMITS),  # Podman 4.3, cgroups v1
        ({"SecurityOptions": ["name=seccomp", "name=rootless"]}, None, LIMITS),
        ({"CgroupDriver": "none", "CgroupVersion": "2"}, None, LIMITS),
        ({"Rootless": True, "CgroupVersion": "2"}, ["memory", "pids"], ("cpu",)),
        ({"Rootless": True, "CgroupVersion": "2"}, [], LIMITS),
        ({"Rootless": True, "CgroupVersion": "2"}, ["cpuset", "cpu", "io", "memory", "pids"], ()),
        ({"Rootless": True, "CgroupVersion": "2"}, None, ()),
    ],
    ids=str,
)
def test_limits_that_an_engine_cannot_enforce_are_known(
    connect: Connect, changes: dict[str, object], controllers: list[str] | None, missing: tuple[str, ...]
) -> None:
    def answer(_method: str, path: str) -> bytes:
        if path == "/info":
            return found({**INFO, **SUPPORTED, **changes})
        assert path == "/libpod/info"
        if controllers is None:
            return http(b"", "404 Not Found", "Connection: close\r\n")
        return found({"host": {"cgroupControllers": controllers}})

    engine, _ = connect(answer)
    info = engine.info()
    assert (info.name, info.unenforced) == ("podman", missing)
    assert info.rootless is (changes.get("Rootless") is True or "SecurityOptions" in changes)


def test_more_cpus_than_podman_has_are_refused(connect: Connect) -> None:
    engine, server = connect(answering(str))
    with pytest.raises(EngineError, match="3 CPUs were requested, but the engine has 2") as raised:
        engine.create(replace(SPEC, cpus=3))
    assert raised.value.cause is Cause.CPU_UNAVAILABLE
    assert "POST" not in {method for method, _ in server.requests}


@pytest.mark.parametrize("config", [{}, {"Cmd": None, "Entrypoint": []}], ids=str)
def test_an_image_without_a_program_is_refused(connect: Connect, config: dict[str, object]) -> None:
    # Podman 5 would start its init process alone
    shown = ISOLATED | {"Config": config}
    engine, server = connect(lambda method, _: found({"Id": HANDLE} if method == "POST" else shown))
    with pytest.raises(EngineError, match="neither ENTRYPOINT nor CMD") as raised:
        engine.create(SPEC)
    assert raised.value.cause is Cause.ENTRYPOINT_INVALID
    assert ("DELETE", f"/containers/{HANDLE}?force=1&v=1") in server.requests


REFUSED_STARTS = {
    'workdir "/bin/sh" exists on container c6ef27b426, but is not a directory': "WORKDIR",
    "creating container 34740f36: mkdir /var/storage/overlay/4ec0f5/merged/bin/busybox: not a directory": (
        "WORKDIR"
    ),
    "creating container df9123c3: mkdir /home/user/storage/vfs/dir/80d3d1/bin/sh: not a directory": "WORKDIR",
    "creating temporary passwd file for container 79c05: unable to get gid nogrp from group file: no matching"
    " entries in group file": "group in the image's USER",
    "unable to find user nobody-here: no matching entries in passwd file": "USER does not exist",
    "container create: no command or entrypoint provided, and no CMD or ENTRYPOINT from image": "ENTRYPOINT",
    "crun: executable file `nope` not found in $PATH: No such file or directory: OCI runtime attempted to"
    " invoke a command that was not found": "nope is not in the image",
    'runc: runc create failed: unable to start container process: exec: "/nope": permission denied: OCI'
    " permission denied": "/nope is not executable",
}


@pytest.mark.parametrize(("reason", "told"), REFUSED_STARTS.items())
def test_mistakes_in_an_image_are_told_from_podmans_message(connect: Connect, reason: str, told: str) -> None:
    engine, _ = connect(lambda _method, _path: refused(reason))
    with pytest.raises(EngineError, match=told) as raised:
        engine.start(HANDLE)
    assert raised.value.cause is Cause.ENTRYPOINT_INVALID


def test_a_program_of_another_machine_is_told_from_the_message_of_its_runtime(connect: Connect) -> None:
    reason = "crun: exec container process `/bin/run`: Exec format error: OCI runtime error"
    engine, _ = connect(lambda _method, _path: refused(reason))
    with pytest.raises(EngineError, match="/bin/run is not an executable for this machine") as raised:
        engine.start(HANDLE)
    assert raised.value.cause is Cause.IMAGE_PLATFORM


@pytest.mark.parametrize(
    "reason",
    [
        "runc: runc create failed: unable to start container process: error during container init: error"
        " setting rlimits for ready process: error setting rlimit type 7: operation not permitted: OCI"
        " permission denied",
        "crun: open `/sys/fs/cgroup/memory/x`: read-only file system: OCI permission denied",
    ],
)
def test_a_permission_that_podman_lacks_is_not_the_programs(connect: Connect, reason: str) -> None:
    engine, _ = connect(lambda _method, _path: refused(reason))
    with pytest.raises(EngineError, match="the engine answered 500") as raised:
        engine.start(HANDLE)
    assert raised.value.cause is Cause.ENGINE_FAILED


def test_a_podman_without_an_init_program_says_what_to_install(connect: Connect) -> None:
    reason = (
        "container create: container-init binary not found on the host: stat /usr/libexec/podman/catatonit:"
        " no such file or directory"
    )
    engine, _ = connect(lambda _method, _path: refused(reason))
    with pytest.raises(EngineError) as raised:
        engine.create(SPEC)
    assert "catatonit" in raised.value.remedy


# -- builds ---------------------------------------------------------------------------------------


def test_the_steps_of_a_failed_build_are_removed(connect: Connect, tmp_path: Path) -> None:
    said = [
        {"stream": "STEP 1/4: FROM busybox\n"},
        {"stream": "STEP 2/4: RUN echo 1 > /a\n"},
        {"stream": f"--> Using cache {'1' * 64}\n"},
        {"stream": f"--> {'1' * 11}\n"},
        {"stream": "STEP 3/4: RUN echo 2 > /b\n"},
        {"stream": f"--> {'2' * 11}\n"},
        {"stream": "STEP 4/4: RUN exit 3\n"},
        {"error": 'building at STEP "RUN exit 3": while running runtime: exit status 3\n'},
    ]

    def answer(method: str, path: str) -> bytes:
        if path.startswith("/build"):
            return http("".join(json.dumps(message) + "\n" for message in said).encode())
        if method == "GET" and "222" in path:
            return found(image())
        return found([]) if method == "DELETE" else http(b"", "404 Not Found", "Connection: close\r\n")

    (tmp_path / "Dockerfile").write_text("FROM busybox\nRUN echo 1 > /a\nRUN echo 2 > /b\nRUN exit 3\n")
    engine, server = connect(answer)
    with pytest.raises(ImageError, match="RUN exit 3") as raised:
        engine.build_image(BuildRequest(tmp_path, "localrun/build:1"))
    assert "Dockerfile:4): the command returned a non-zero code: 3" in raised.value.message
    assert raised.value.facts["exit_code"] == 3
    removed = {path for method, path in server.requests if method == "DELETE"}
    assert removed == {f"/images/{IMAGE}?noprune=1"}


def test_an_unknown_instruction_is_reported_without_the_structures_of_podmans_parser(
    connect: Connect, tmp_path: Path
) -> None:
    reason = (
        'building at STEP "RUNN ": Build error: Unknown instruction: "RUNN" &imagebuilder.Step{Env:[]string{'
        '"PATH=/bin"}, Command:"runn"}'
    )
    said = [{"stream": "STEP 1/2: FROM busybox\n"}, {"stream": "STEP 2/2: RUNN true\n"}, {"error": reason}]
    body = "".join(json.dumps(message) + "\n" for message in said).encode()

    def answer(_method: str, path: str) -> bytes:
        return http(body) if "build?" in path else http(b"", "404 Not Found", "Connection: close\r\n")

    (tmp_path / "Dockerfile").write_text("FROM busybox\nRUNN true\n")
    engine, _ = connect(answer)
    with pytest.raises(ImageError, match=r"Dockerfile:2\): unknown instruction: RUNN\n"):
        engine.build_image(BuildRequest(tmp_path, "localrun/build:1"))


# -- the end of a container -----------------------------------------------------------------------


def test_the_program_is_looked_at_in_intervals(connect: Connect) -> None:
    # without it, Podman 4 uses a whole CPU
    state = {"Status": "exited", "Running": False, "Error": "", "ExitCode": 3, "OOMKilled": False}
    times = {"StartedAt": "2026-11-29T23:41:37.034177955Z", "FinishedAt": "2026-11-29T23:41:37.2Z"}
    waited = {"StatusCode": 3, "State": {**state, **times}}
    engine, server = connect(lambda _method, _path: found(waited))
    assert engine.wait(HANDLE).code == 3
    assert f"/containers/{HANDLE}/wait?interval=50ms&condition=not-running" in [
        path for _, path in server.requests
    ]


@pytest.mark.parametrize("grace", [0, 5])
def test_stopping_a_container_that_has_ended_is_no_error(connect: Connect, grace: float) -> None:
    reason = f"can only kill running containers. {HANDLE} is in state exited: container state improper"
    engine, _ = connect(lambda _method, _path: refused(reason))
    engine.stop(HANDLE, grace)


STATS = {
    "CPUNano": 1_500_000_000,
    "MemUsage": 25845760,
    "MemLimit": 1 << 26,
    "BlockInput": 7,
    "BlockOutput": 8,
    "PIDs": 2,
}
ENDED = dict.fromkeys(STATS, 0)


def stats(*reports: object) -> Answer:
    body = "".join(json.dumps(report) + "\n" for report in reports).encode()
    return lambda _method, path: found(INFO) if path == "/info" else http(body)


def test_usage_is_measured_every_second(connect: Connect) -> None:
    engine, server = connect(stats(*({"Error": None, "Stats": [each]} for each in (STATS, STATS, ENDED))))
    samples = list(engine.usage(HANDLE))
    assert [(each.cpu_seconds, each.memory, each.pids) for each in samples] == [(1.5, 25845760, 2)] * 2
    assert (samples[0].read_bytes, samples[0].written_bytes) == (7, 8)
    (path,) = [path for _, path in server.requests if "stats" in path]
    assert path == f"/libpod/containers/stats?stream=true&containers={HANDLE}&interval=1"


def test_the_usage_of_the_machine_is_not_shown_as_the_containers(connect: Connect) -> None:
    engine, _ = connect(stats({"Error": None, "Stats": [{**STATS, "MemLimit": INFO["MemTotal"]}]}))
    assert list(engine.usage(HANDLE)) == []


def test_the_usage_of_the_machine_by_docker_is_not_shown_either(connect: Connect) -> None:
    sample = {
        "memory_stats": {"usage": 3142270976, "limit": INFO["MemTotal"]},
        "pids_stats": {},
        "cpu_stats": {"cpu_usage": {"total_usage": 0}},
    }
    engine, _ = connect(stats(sample), PING)
    assert list(engine.usage(HANDLE)) == []


def test_a_podman_that_cannot_measure_is_no_error(connect: Connect) -> None:
    reason = "container stats resource only available for cgroup v2"
    engine, _ = connect(lambda _method, _path: refused(reason, "409 Conflict"))
    assert list(engine.usage(HANDLE)) == []


def test_measuring_a_container_that_podman_4_does_not_have_reports_that_it_is_gone(connect: Connect) -> None:
    engine, _ = connect(stats({"Error": {}, "Stats": None}))
    with pytest.raises(ContainerGone):
        list(engine.usage(HANDLE))


def test_measuring_a_removed_container_reports_that_it_is_gone(connect: Connect) -> None:
    engine, _ = connect(lambda _method, _path: http(b"", "404 Not Found"))
    with pytest.raises(ContainerGone):
        list(engine.usage(HANDLE))


# -- copies ---------------------------------------------------------------------------------------


def test_an_empty_archive_of_a_container_that_has_just_ended_is_requested_again(connect: Connect) -> None:
    answers = iter([http(b""), http(b"tar")])
    engine, _ = connect(lambda method, path: next(answers) if "/archive?" in path else found({}))
    assert b"".join(engine.copy_out(HANDLE, "/outputs")) == b"tar"


def test_an_archive_that_stays_empty_is_an_error(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("localrun.engines.dockerd.engine._COPY_DELAY", 0)
    engine, _ = connect(lambda method, path: http(b"") if "/archive?" in path else found({}))
    with pytest.raises(EngineError, match=r"cannot copy /outputs from the container: .* an empty archive"):
        list(engine.copy_out(HANDLE, "/outputs"))


def test_a_file_that_the_container_does_not_have_is_an_error_of_its_own(connect: Connect) -> None:
    missing = refused("no such file or directory", "404 Not Found")
    engine, _ = connect(lambda method, path: missing if "/archive?" in path else found({}))
    with pytest.raises(ContainerFileMissing, match="/outputs"):
        list(engine.copy_out(HANDLE, "/outputs"))
