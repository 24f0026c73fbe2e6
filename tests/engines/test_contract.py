"""The contract of `engines.base`, for every engine in `ENGINES`."""

from __future__ import annotations

import io
import secrets
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from localrun.engines.base import BuildRequest, ContainerSpec, Engine, Exit, Handle, Mount
from localrun.engines.dockerd import DockerEngine
from localrun.engines.fake import FakeContainer, FakeEngine
from localrun.engines.labels import container_name
from localrun.errors import (
    Cause,
    ContainerFileMissing,
    ContainerGone,
    EngineError,
    ImageError,
    MountUnavailable,
)
from tests.support.images import busybox_layer, image_archive, image_content_of, image_id, tar_of

ENGINES = ["fake", pytest.param("docker", marks=pytest.mark.docker)]


# -- the same programs, for a shell and for the fake engine ---------------------------------------


@dataclass(frozen=True)
class Act:
    """A program as a shell script and as a Python function."""

    shell: str
    python: Callable[[FakeContainer], int | Exit | None]


def _say(container: FakeContainer) -> int:
    container.stdout.write("to stdout\n")
    container.stderr.write("to stderr\n")
    return 3


def _copy(container: FakeContainer) -> int:
    text = container.path("/in/text").read_text()
    container.path("/out/text").write_text(text + container.environment["MORE"])
    return 0


def _until_asked(container: FakeContainer) -> int:
    container.stdout.write("ready\n")
    container.stopped.wait()
    return 42


def _never(container: FakeContainer) -> int:
    container.stdout.write("ready\n")
    container.killed.wait()
    return 0


def _echo(container: FakeContainer) -> int:
    while data := container.stdin.get():
        container.stdout.write(data.decode())
    return 5


def _size(container: FakeContainer) -> int:
    while container.size is None:
        container.killed.wait(0.01)
    container.stdout.write("{} {}\r\n".format(*container.size))
    return 0


_SIZE = 'for i in $(seq 300); do stty size 2> /dev/null | grep "40 120" && break; sleep 0.1; done'
ACTS = {
    "echo": Act("cat; exit 5", _echo),
    "size": Act(_SIZE, _size),
    "nothing": Act("exit 0", lambda container: 0),
    "say": Act("echo to stdout; echo to stderr >&2; exit 3", _say),
    "copy": Act('cat /in/text > /out/text; printf "$MORE" >> /out/text', _copy),
    "until asked": Act('trap "exit 42" TERM; echo ready; while :; do sleep 60 & wait; done', _until_asked),
    "never": Act('trap "" TERM; echo ready; while :; do sleep 60; done', _never),
}


def _play(container: FakeContainer) -> int | Exit | None:
    return ACTS[container.command[0]].python(container)


class Bench:
    """An engine with an image, and containers that are removed after the test."""

    def __init__(self, engine: Engine, image: str, *, shell: bool) -> None:
        self.engine = engine
        self.image = image
        self._shell = shell
        self._made: list[Handle] = []
        self.mark = secrets.token_hex(6)

    def spec(self, act: str, **changes: object) -> ContainerSpec:
        command = ("sh", "-c", ACTS[act].shell) if self._shell else (act,)
        task_id = f"test-{secrets.token_hex(6)}"
        labels = {"localrun.owner": self.mark} | dict(changes.pop("labels", {}))  # type: ignore[call-overload]
        given: dict[str, object] = {
            "image": self.image,
            "name": container_name(task_id),
            "labels": {"localrun.task": task_id} | labels,
            "command": command,
            "memory": 64 * 1024**2,
        }
        return ContainerSpec(**(given | changes))  # type: ignore[arg-type]

    def create(self, act: str, **changes: object) -> Handle:
        handle = self.engine.create(self.spec(act, **changes))
        self._made.append(handle)
        return handle

    def started(self, act: str, **changes: object) -> Handle:
        handle = self.create(act, **changes)
        self.engine.start(handle)
        return handle

    def close(self) -> None:
        for handle in self._made:
            self.engine.remove(handle)


@pytest.fixture(params=ENGINES)
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    if request.param == "fake":
        fake = FakeEngine(_play)
        made = Bench(fake, fake.add_image("localrun-test/fake:1").id, shell=False)
    else:
        docker: DockerEngine = request.getfixturevalue("docker_engine")
        made = Bench(docker, request.getfixturevalue("busybox"), shell=True)
    yield made
    made.close()
    if request.param == "fake":
        made.engine.close()


def files_of(tar: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        opened = ((member.name, archive.extractfile(member)) for member in archive if member.isfile())
        return {name: file.read() for name, file in opened if file}


# -- the contract ---------------------------------------------------------------------------------


def test_an_engine_has_properties(bench: Bench) -> None:
    info = bench.engine.info()
    assert info.cpus >= 1
    assert info.memory > 2**20
    assert info.architecture in {"amd64", "arm64"}
    assert bench.engine.info() is info


def test_a_container_has_an_exit_and_output_streams(bench: Bench) -> None:
    handle = bench.started("say")
    written = list(bench.engine.logs(handle))
    end = bench.engine.wait(handle)
    assert b"".join(text for name, text in written if name == "stdout") == b"to stdout\n"
    assert b"".join(text for name, text in written if name == "stderr") == b"to stderr\n"
    assert end.code == 3
    assert not end.oom_killed
    assert end.started is not None
    assert end.finished is not None
    assert end.finished >= end.started


def test_waiting_gives_the_same_exit_however_often(bench: Bench) -> None:
    handle = bench.started("say")
    assert bench.engine.wait(handle) == bench.engine.wait(handle)


def test_the_log_can_be_read_after_the_end_and_twice(bench: Bench) -> None:
    handle = bench.started("say")
    bench.engine.wait(handle)
    first, second = (sorted(bench.engine.logs(handle)) for _ in range(2))
    assert first == second == [("stderr", b"to stderr\n"), ("stdout", b"to stdout\n")]


def test_attached_output_is_complete_from_the_start_to_the_end(bench: Bench) -> None:
    handle = bench.create("say")
    live = bench.engine.attach(handle)
    assert live is not None
    bench.engine.start(handle)
    assert sorted(live) == [("stderr", b"to stderr\n"), ("stdout", b"to stdout\n")]
    live.close()


def test_a_session_passes_input_on_until_it_ends(bench: Bench) -> None:
    handle = bench.create("echo", interactive="pipe")
    with closing(bench.engine.connect(handle)) as session:
        bench.engine.start(handle)
        session.send(b"one ")
        session.send(b"two")
        session.end_input()
        chunks = list(session)
        assert ({name for name, _ in chunks}, b"".join(data for _, data in chunks)) == (
            {"stdout"},
            b"one two",
        )
        assert bench.engine.wait(handle).code == 5
        session.send(b"more")  # does nothing, as the next ones
        session.end_input()
        session.close()


def test_a_terminal_has_the_size_that_it_is_given(bench: Bench) -> None:
    handle = bench.create("size", interactive="terminal")
    with closing(bench.engine.connect(handle)) as session:
        bench.engine.start(handle)
        bench.engine.resize(handle, 40, 120)
        shown = b"".join(data for _, data in session)
    assert shown == b"40 120\r\n"
    bench.engine.resize(handle, 2, 2)
    bench.engine.remove(handle)
    bench.engine.resize(handle, 2, 2)


def test_the_last_lines_of_a_log_can_be_read(bench: Bench) -> None:
    handle = bench.started("say")
    bench.engine.wait(handle)
    assert len(list(bench.engine.logs(handle, follow=False, tail=1))) == 1


def test_the_log_so_far_can_be_read_while_the_container_runs(bench: Bench) -> None:
    handle = bench.started("until asked")
    next(bench.engine.logs(handle))
    assert list(bench.engine.logs(handle, follow=False)) == [("stdout", b"ready\n")]


def test_a_log_may_be_closed_before_its_end(bench: Bench) -> None:
    handle = bench.started("until asked")
    log = bench.engine.logs(handle)
    assert next(log) == ("stdout", b"ready\n")
    log.close()  # type: ignore[attr-defined]
    bench.engine.stop(handle, 5)
    assert bench.engine.wait(handle).code == 42


def test_files_are_shared_by_mounts(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "in" / "text").write_text("given")
    mounts = (Mount(tmp_path / "in", "/in"), Mount(tmp_path / "out", "/out", read_only=False))
    handle = bench.started("copy", mounts=mounts, environment={"MORE": " and more"})
    assert bench.engine.wait(handle).code == 0
    assert (tmp_path / "out" / "text").read_text() == "given and more"


def test_files_are_copied_as_archives(bench: Bench) -> None:
    handle = bench.create("copy", folders=("/in", "/out"), environment={"MORE": "!"})
    bench.engine.copy_in(handle, "/in", iter([tar_of({"text": b"given"})]))
    bench.engine.start(handle)
    assert bench.engine.wait(handle).code == 0
    packed = b"".join(bench.engine.copy_out(handle, "/out"))
    assert files_of(packed) in ({"out/text": b"given!"}, {"/text": b"given!"})  # of Docker, of Podman


@pytest.mark.parametrize("path", ["/missing", "/missing/below", "/etc/passwd/below"])
def test_copying_out_a_missing_path_is_an_error_of_its_own(bench: Bench, path: str) -> None:
    handle = bench.create("nothing")
    with pytest.raises(ContainerFileMissing, match=path):
        list(bench.engine.copy_out(handle, path))


def test_a_mount_that_is_not_there_is_refused_and_nothing_is_left(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(MountUnavailable, match="missing"):
        bench.create("nothing", mounts=(Mount(tmp_path / "missing", "/in"),))
    assert bench.engine.find({"localrun.owner": bench.mark}) == []
    assert not (tmp_path / "missing").exists()


def test_stop_asks_first(bench: Bench) -> None:
    handle = bench.started("until asked")
    next(bench.engine.logs(handle))  # its trap is set
    bench.engine.stop(handle, 10)
    assert bench.engine.wait(handle).code == 42


def test_a_program_that_does_not_listen_is_ended_after_the_grace(bench: Bench) -> None:
    handle = bench.started("never")
    next(bench.engine.logs(handle))
    bench.engine.stop(handle, 1)
    assert bench.engine.wait(handle).code == 137


def test_a_grace_of_zero_ends_at_once(bench: Bench) -> None:
    handle = bench.started("never")
    bench.engine.stop(handle, 0)
    assert bench.engine.wait(handle).code == 137


@pytest.mark.parametrize("grace", [0, 5])
def test_stopping_an_ended_or_removed_container_does_nothing(bench: Bench, grace: float) -> None:
    handle = bench.started("nothing")
    bench.engine.wait(handle)
    bench.engine.stop(handle, grace)
    bench.engine.remove(handle)
    bench.engine.stop(handle, grace)


def test_a_running_container_can_be_removed_and_removed_again(bench: Bench) -> None:
    handle = bench.started("never")
    bench.engine.remove(handle)
    bench.engine.remove(handle)
    assert bench.engine.find({"localrun.owner": bench.mark}) == []


def test_an_unknown_handle_is_reported(bench: Bench) -> None:
    handle = bench.create("nothing")
    bench.engine.remove(handle)
    calls: list[Callable[[], object]] = [
        lambda: bench.engine.start(handle),
        lambda: bench.engine.wait(handle),
        lambda: list(bench.engine.logs(handle)),
        lambda: list(bench.engine.usage(handle)),
        lambda: bench.engine.copy_in(handle, "/", [tar_of({})]),
        lambda: list(bench.engine.copy_out(handle, "/tmp")),
    ]
    for call in calls:
        with pytest.raises(ContainerGone):
            call()


def test_starting_twice_does_nothing(bench: Bench) -> None:
    handle = bench.started("until asked")
    bench.engine.start(handle)
    assert [found.running for found in bench.engine.find({"localrun.owner": bench.mark})] == [True]


def test_waiting_may_begin_before_the_start(bench: Bench) -> None:
    handle = bench.create("say")
    ends: list[Exit] = []
    waiting = threading.Thread(target=lambda: ends.append(bench.engine.wait(handle)))
    waiting.start()
    bench.engine.start(handle)
    waiting.join(60)
    assert [end.code for end in ends] == [3]


def test_a_container_with_the_labels_of_a_task_and_another_name_is_not_found(bench: Bench) -> None:
    handle = bench.create("nothing")
    (found,) = bench.engine.find({"localrun.owner": bench.mark})
    bench.create("nothing", name=f"mine-{bench.mark}", labels=dict(found.labels))
    assert [each.handle for each in bench.engine.find({"localrun.owner": bench.mark})] == [handle]


def test_containers_are_found_by_all_of_their_labels(bench: Bench) -> None:
    labels = {"localrun.owner": bench.mark, "localrun.step": "task"}
    handle = bench.create("nothing", labels=labels)
    bench.create("nothing")
    assert [found.handle for found in bench.engine.find(labels)] == [handle]
    by_name = bench.engine.find({"localrun.owner": bench.mark, "localrun.step": ""})
    assert [(found.handle, found.running) for found in by_name] == [(handle, False)]
    assert by_name[0].labels.items() >= labels.items()
    assert bench.engine.find({"localrun.owner": bench.mark, "localrun.step": "outputs"}) == []


def test_usage_is_known_while_it_runs(bench: Bench) -> None:
    handle = bench.started("until asked")
    next(bench.engine.logs(handle))
    usages = bench.engine.usage(handle)
    usage = next(usages)
    assert usage.memory > 0
    assert usage.pids >= 1
    assert next(usages).cpu_seconds >= usage.cpu_seconds
    bench.engine.stop(handle, 0)
    bench.engine.wait(handle)
    assert list(usages) == []
    assert list(bench.engine.usage(handle)) == []


def test_measuring_can_be_broken_off(bench: Bench) -> None:
    handle = bench.started("until asked")
    usages = bench.engine.usage(handle)
    next(usages)
    usages.close()
    assert next(bench.engine.usage(handle)).pids >= 1


def test_a_name_is_unique(bench: Bench) -> None:
    name = bench.spec("nothing").name
    bench.create("nothing", name=name)
    with pytest.raises(EngineError, match="already in use") as raised:
        bench.create("nothing", name=name)
    assert raised.value.remedy


def test_a_missing_image_is_reported(bench: Bench) -> None:
    assert bench.engine.find_image("localrun-test/none:1") is None
    with pytest.raises(ImageError) as raised:
        bench.create("nothing", image="localrun-test/none:1")
    assert raised.value.cause is Cause.IMAGE_MISSING


@pytest.fixture
def archive(bench: Bench) -> Iterator[bytes]:
    made = image_archive(
        busybox_layer({}), Entrypoint=["/run"], Cmd=["a"], Labels={"localrun.mark": bench.mark}
    )
    yield made
    for image in bench.engine.images({"localrun.mark": bench.mark}):
        bench.engine.remove_image(image.id)


def test_an_image_is_loaded_and_known_by_the_id_in_its_archive(bench: Bench, archive: bytes) -> None:
    pieces = [archive[at : at + 4096] for at in range(0, len(archive), 4096)]
    loaded = bench.engine.load_image(iter(pieces))
    if bench.engine.info().image_ids == "config":
        assert loaded == image_id(archive)
    found = bench.engine.find_image(loaded)
    assert found is not None
    assert found.content == image_content_of(archive)
    assert (found.entrypoint, found.command, found.architecture) == (("/run",), ("a",), "amd64")
    assert [image.id for image in bench.engine.images({"localrun.mark": bench.mark})] == [loaded]
    assert bench.engine.images({"localrun.mark": "another"}) == []


def test_names_are_added_moved_and_removed(bench: Bench, archive: bytes) -> None:
    image = bench.engine.load_image([archive])
    first, second = (f"localrun-test/{bench.mark}:{number}" for number in (1, 2))
    bench.engine.tag_image(image, first)
    bench.engine.tag_image(image, second)
    found = bench.engine.find_image(first)
    assert found is not None
    assert sorted(found.tags) == [first, second]
    bench.engine.remove_image(first)
    assert bench.engine.find_image(first) is None
    assert bench.engine.find_image(image) is not None
    bench.engine.remove_image(second)
    assert bench.engine.find_image(image) is None
    bench.engine.remove_image(second)


@pytest.mark.parametrize("what", ["no tar", "an empty tar", "cut"])
def test_a_broken_archive_is_refused_as_such(bench: Bench, archive: bytes, what: str) -> None:
    data = {"no tar": b"junk" * 512, "an empty tar": tar_of({}), "cut": archive[: len(archive) // 2]}[what]
    with pytest.raises(ImageError) as raised:
        bench.engine.load_image([data])
    assert raised.value.cause is Cause.IMAGE_INVALID


def test_an_error_while_an_archive_is_read_comes_through(bench: Bench, archive: bytes) -> None:
    def pieces() -> Iterator[bytes]:
        yield archive[:4096]
        raise ImageError("the zip is broken")

    with pytest.raises(ImageError, match="the zip is broken"):
        bench.engine.load_image(pieces())
    assert bench.engine.find_image(image_id(archive)) is None


def test_a_build_without_a_dockerfile_fails_as_such(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="Dockerfile") as raised:
        bench.engine.build_image(BuildRequest(tmp_path, "localrun-test/none:1"))
    assert raised.value.cause is Cause.IMAGE_BUILD_FAILED


def test_a_folder_is_built_under_its_name_and_labels(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(f"FROM {bench.image}\nARG WHO=x\nLABEL who=$WHO\n")
    name = f"localrun-test/{bench.mark}:built"
    told: list[tuple[str, int, int | None]] = []
    try:
        built = bench.engine.build_image(
            BuildRequest(tmp_path, name, labels={"localrun.mark": bench.mark}, build_args={"WHO": "me"}),
            progress=lambda *step: told.append(step),
        )
        found = bench.engine.find_image(name)
        assert found is not None
        assert found.id == built.id
        assert [image.id for image in bench.engine.images({"localrun.mark": bench.mark})] == [built.id]
        assert told
    finally:
        bench.engine.remove_image(name)


def test_pulling_what_no_registry_has_fails_as_such(bench: Bench) -> None:
    with pytest.raises(ImageError) as raised:
        bench.engine.pull_image("localhost:1/localrun-test/none:1")
    assert raised.value.cause is Cause.IMAGE_PULL_FAILED
    assert raised.value.remedy


def test_an_image_is_saved_as_it_was_loaded(bench: Bench, archive: bytes) -> None:
    image = bench.engine.load_image([archive])
    bench.engine.tag_image(image, f"localrun-test/{bench.mark}:saved")
    saved = b"".join(bench.engine.save_image(image))
    assert image_id(saved) == image_id(archive)
    bench.engine.remove_image(f"localrun-test/{bench.mark}:saved")
    assert bench.engine.load_image([saved]) == image


def test_an_image_is_saved_in_pieces_and_may_be_left_in_the_middle(bench: Bench) -> None:
    pieces = iter(bench.engine.save_image(bench.image))
    assert next(pieces)
    pieces.close()  # type: ignore[attr-defined]
    assert bench.engine.find_image(bench.image) is not None


def test_an_image_that_is_not_there_cannot_be_saved(bench: Bench) -> None:
    with pytest.raises(ImageError) as raised:
        list(bench.engine.save_image("localrun-test/none:1"))
    assert raised.value.cause is Cause.IMAGE_MISSING
