"""The fake engine, beyond the contract."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from localrun.engines.base import BuildRequest, ContainerSpec, Exit, Handle, Mount
from localrun.engines.fake import FakeContainer, FakeEngine, Program, Scripted
from localrun.errors import Cause, EngineError, ImageError, MountUnavailable


class Bench:
    """Fake engines with one image, closed after the test."""

    def __init__(self) -> None:
        self.engines: list[FakeEngine] = []
        self.count = 0

    def add(self, engine: FakeEngine) -> FakeEngine:
        engine.add_image("one")
        engine.add_image("two")
        self.engines.append(engine)
        return engine

    def engine(self, program: Program) -> FakeEngine:
        return self.add(FakeEngine(program))

    def start(self, engine: FakeEngine, image: str = "one", **changes: Any) -> Handle:
        self.count += 1
        handle = engine.create(ContainerSpec(image=image, name=f"n{self.count}", **changes))
        engine.start(handle)
        return handle

    def run(self, engine: FakeEngine, image: str = "one", **changes: Any) -> tuple[Exit, bytes]:
        handle = self.start(engine, image, **changes)
        end = engine.wait(handle)
        return end, b"".join(text for _, text in engine.logs(handle))


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    for engine in made.engines:
        engine.close()


def test_a_program_sees_its_command_environment_and_files(bench: Bench, tmp_path: Path) -> None:
    def program(container: FakeContainer) -> None:
        print(container.command, container.environment["A"], file=container.stdout)
        container.path("/out/deep/x").write_text("made")

    (tmp_path / "deep").mkdir()
    mounts = (Mount(tmp_path, "/out", read_only=False),)
    end, text = bench.run(bench.engine(program), command=("go",), environment={"A": "b"}, mounts=mounts)
    assert (end.code, text) == (0, b"('go',) b\n")
    assert (tmp_path / "deep" / "x").read_text() == "made"


def test_a_program_that_raises_ends_with_1_and_its_traceback_in_the_log(bench: Bench) -> None:
    def program(container: FakeContainer) -> None:
        raise RuntimeError("oh no")

    end, text = bench.run(bench.engine(program))
    assert end.code == 1
    assert b"RuntimeError: oh no" in text


def test_a_program_may_say_how_it_ended(bench: Bench) -> None:
    end, _ = bench.run(bench.engine(lambda container: Exit(137, oom_killed=True)))
    assert (end.code, end.oom_killed) == (137, True)
    assert end.finished is not None


def test_what_a_program_does_after_it_was_killed_counts_for_nothing(bench: Bench) -> None:
    def program(container: FakeContainer) -> int:
        container.killed.wait()
        container.stdout.write("too late")
        return 0

    engine = bench.engine(program)
    handle = bench.start(engine)
    engine.stop(handle, 0)
    assert engine.wait(handle).code == 137
    assert list(engine.logs(handle)) == []


def test_a_script_plays_its_parts_in_turn_and_the_last_one_again(bench: Bench) -> None:
    engine = bench.add(FakeEngine.script([Scripted(3, stdout="a"), Scripted(stderr="b")]))
    assert [(end.code, text) for end, text in (bench.run(engine) for _ in range(3))] == [
        (3, b"a"),
        (0, b"b"),
        (0, b"b"),
    ]


def test_a_script_may_have_parts_for_each_image(bench: Bench) -> None:
    engine = bench.add(FakeEngine.script({"one": [Scripted(1)], "two:latest": [Scripted(2)]}))
    assert [bench.run(engine, image)[0].code for image in ("two", "one")] == [2, 1]


def test_a_script_writes_and_removes_files(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "old").write_text("x")
    part = Scripted(files={"/out/sum": "3", "/out/deep/raw": b"\0", "/out/old": None})
    mounts = (Mount(tmp_path, "/out", read_only=False),)
    bench.run(bench.add(FakeEngine.script([part])), mounts=mounts)
    assert (tmp_path / "sum").read_text() == "3"
    assert (tmp_path / "deep" / "raw").read_bytes() == b"\0"
    assert not (tmp_path / "old").exists()


def test_a_delay_ends_when_the_container_is_stopped(bench: Bench) -> None:
    engine = bench.add(FakeEngine.script([Scripted(stdout="ready", seconds=600)]))
    handle = bench.start(engine)
    next(engine.logs(handle))
    engine.stop(handle, 60)
    assert engine.wait(handle).code == 143


def test_an_engine_that_shares_no_files_refuses_every_mount(bench: Bench, tmp_path: Path) -> None:
    engine = bench.add(FakeEngine(shares_files=False))
    with pytest.raises(MountUnavailable):
        bench.start(engine, mounts=(Mount(tmp_path, "/in"),))
    with pytest.raises(MountUnavailable):
        bench.start(engine, hosts_file=tmp_path)
    assert bench.run(engine, folders=("/in",))[0].code == 0


def test_a_path_cannot_leave_its_container(bench: Bench) -> None:
    engine = bench.add(FakeEngine())
    container = engine.container(bench.start(engine))
    with pytest.raises(EngineError, match="must not contain"):
        container.path("/a/../../etc/passwd")


def test_the_innermost_mount_counts(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    mounts = (Mount(tmp_path, "/in"), Mount(tmp_path / "inner", "/in/x"))
    engine = bench.add(FakeEngine())
    container = engine.container(bench.start(engine, mounts=mounts))
    assert container.path("/in/x/y") == tmp_path / "inner" / "y"
    assert container.path("/in/xy") == tmp_path / "xy"


def test_images_are_pulled_from_the_registry_that_was_filled(bench: Bench) -> None:
    engine = bench.add(FakeEngine())
    there = engine.add_image("far:1", where="registry", architecture="arm64")
    assert engine.find_image("far:1") is None
    told: list[tuple[str, int, int | None]] = []
    assert engine.pull_image("far:1", lambda *step: told.append(step)).id == there.id
    assert engine.find_image("far:1") == there
    assert len(told) == 1
    with pytest.raises(ImageError) as raised:
        engine.pull_image("far:2")
    assert raised.value.cause is Cause.IMAGE_PULL_FAILED


def test_a_name_without_a_tag_means_latest(bench: Bench) -> None:
    engine = bench.add(FakeEngine())
    assert engine.find_image("one") == engine.find_image("one:latest") is not None
    assert engine.find_image("one:2") is None


def test_the_same_folder_gives_the_same_image_and_another_one_another(bench: Bench, tmp_path: Path) -> None:
    engine = bench.add(FakeEngine())
    (tmp_path / "Dockerfile").write_text("FROM one\n")

    def build(**args: str) -> str:
        return engine.build_image(BuildRequest(tmp_path, "built:1", build_args=args)).id

    first = build()
    assert build() == first
    assert build(A="b") != first
    assert engine.find_image(first) is not None
    (tmp_path / "Dockerfile").write_text("FROM two\n")
    assert build() != first


def test_closing_ends_every_container_and_removes_its_files(bench: Bench) -> None:
    folder = Path(tempfile.gettempdir())
    before = set(folder.glob("localrun-fake-*"))
    engine = bench.engine(lambda container: container.stopped.wait() and 0)
    container = engine.container(bench.start(engine))
    assert set(folder.glob("localrun-fake-*")) - before == {container.root}
    engine.close()
    assert not container.root.exists()
    assert engine.find({}) == []


def test_outputs_are_written_as_a_task_writes_them(bench: Bench, tmp_path: Path) -> None:
    # Given outputs of every kind, and one that already exists
    (tmp_path / "given").mkdir()
    (tmp_path / "given" / "a.dcm").write_bytes(b"\1")
    out = tmp_path / "out"
    out.mkdir()
    (out / "gone").write_text("from before")
    outputs = {
        "sum": 7,
        "mean": 2.5,
        "is": True,
        "word": "a b",
        "raw": b"\0\1",
        "place": {"type": "Point", "coordinates": [1, 2]},
        "file": tmp_path / "given" / "a.dcm",
        "slide": tmp_path / "given",
        "lists": [[1, 2], []],
        "gone": None,
    }

    # When the script runs
    mounts = (Mount(tmp_path, "/in"), Mount(out, "/results", read_only=False))
    bench.run(bench.engine(Scripted(outputs=outputs)), mounts=mounts)

    # Then each is a file or a folder of its name
    found = {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert found == {
        "sum": b"7",
        "mean": b"2.5",
        "is": b"true",
        "word": b"a b",
        "raw": b"\0\1",
        "place": b'{"type": "Point", "coordinates": [1, 2]}',
        "file": b"\1",
        "slide/a.dcm": b"\1",
        "lists/array.yml": b"size: 2",
        "lists/0/array.yml": b"size: 2",
        "lists/0/0": b"1",
        "lists/0/1": b"2",
        "lists/1/array.yml": b"size: 0",
    }
