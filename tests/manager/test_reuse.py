"""`--reuse`: the result of a finished task instead of a new one."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from localrun.engines.fake import FakeContainer
from localrun.task.active import ActiveTask
from localrun.task.record import BindMount, TaskRecord
from localrun.task.states import TaskState
from localrun.values.reuse import contents
from localrun.values.reuse.index import ReuseIndex
from localrun.values.reuse.seal import Seal
from tests.support import descriptors
from tests.support.environment import Environment, make_environment
from tests.support.image_files import png

INPUTS = {
    "threshold": descriptors.parameter({"id": "integer"}, default=10),
    "text": descriptors.parameter({"id": "file"}, optional=True),
    "texts": descriptors.parameter({"id": "array", "subtype": {"id": "file"}}, optional=True),
}
OUTPUTS = {"count": {"id": "integer"}, "copy": {"id": "file"}}


class Program:
    """Counts its runs, and copies its input."""

    def __init__(self) -> None:
        self.runs = 0

    def __call__(self, container: FakeContainer) -> int:
        self.runs += 1
        inputs, outputs = container.path("/inputs"), container.path("/outputs")
        mounts = {mount.target: mount.source for mount in container.spec.mounts}
        text = mounts.get("/inputs/text", inputs / "text")
        (outputs / "count").write_text(str(self.runs))
        (outputs / "copy").write_bytes(text.read_bytes() if text.exists() else b"none")
        return 0


class Bench:
    """A bundle, its program, and the notes about its tasks."""

    def __init__(self, env: Environment, program: Program, folder: Path) -> None:
        self.env, self.program, self.folder = env, program, folder
        self.notes: list[str] = []

    def submit(self, reuse: str = "yes", **options: Any) -> ActiveTask:
        task = self.env.submit(
            listener=lambda event: self.notes.append(event.message) if event.kind == "note" else None,
            reuse=reuse,
            **options,
        )
        assert self.env.app.manager.wait(task)
        return task

    def run(self, reuse: str = "yes", **options: Any) -> TaskRecord:
        return self.submit(reuse, **options).record

    def reasons(self, **options: Any) -> list[str]:
        """Return why a task was not reused."""
        task = self.submit(**options)
        assert not task.reused
        return list(task.not_reused)

    def file(self, name: str, content: str | bytes) -> Path:
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def task_count(self) -> int:
        return len(list(self.env.app.store.newest_first()))


@contextmanager
def bench_in(folder: Path, program: Program | None = None) -> Iterator[Bench]:
    program = program or Program()
    with make_environment(folder, program) as env:
        env.bundle.write_text(json.dumps(descriptors.as_json(INPUTS, OUTPUTS)))
        yield Bench(env, program, folder)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with bench_in(tmp_path) as found:
        yield found


def test_an_equal_task_is_not_created_again(bench: Bench) -> None:
    first = bench.run("no", values={"threshold": 3})
    again = bench.submit(values={"threshold": 3})
    assert again.reused
    assert again.record == first
    assert (bench.program.runs, bench.task_count()) == (1, 1)
    assert bench.notes[-1].startswith(f"reused the result of task {first.short_id}, which finished ")


def test_a_task_runs_again_without_the_option(bench: Bench) -> None:
    bench.run("no")
    assert not bench.submit("no").reused
    assert bench.program.runs == 2


def test_nothing_in_the_folder_of_a_reused_task_changes(bench: Bench) -> None:
    folder = Path(bench.run("no").folder)
    before = {path: path.lstat().st_mtime_ns for path in folder.rglob("*")}
    bench.run()
    assert {path: path.lstat().st_mtime_ns for path in folder.rglob("*")} == before


def test_a_default_equals_the_same_value(bench: Bench) -> None:
    bench.run("no")
    assert bench.submit(values={"threshold": 10}).reused


def test_a_changed_value_is_the_reason(bench: Bench) -> None:
    first = bench.run("no", values={"threshold": 10})
    assert bench.reasons(values={"threshold": 12}) == ["inputs.threshold 10 -> 12"]
    assert bench.notes[-1] == f"not reused: inputs.threshold 10 -> 12 (since task {first.short_id})"


def test_the_most_similar_task_is_the_one_to_compare_with(bench: Bench) -> None:
    one, two = bench.file("one", "1"), bench.file("two", "2")
    bench.run("no", values={"threshold": 1, "text": one})
    bench.run("no", values={"threshold": 2, "text": two})
    assert bench.reasons(values={"threshold": 3, "text": one}) == ["inputs.threshold 1 -> 3"]


def test_the_first_task_of_a_bundle_says_so(bench: Bench) -> None:
    assert bench.reasons() == ["no finished task of this bundle in this folder"]


def test_many_reasons_are_folded(bench: Bench) -> None:
    bench.run("no", environment={f"V{number}": "1" for number in range(9)})
    assert len(bench.reasons()) == 9
    assert [note for note in bench.notes if "; and 4 more (since task" in note]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"command": ["other"]}, 'command null -> ["other"]'),
        ({"environment": {"A": "1"}}, "environment.A changed"),
        ({"hardened": True}, "hardened false -> true"),
        ({"writable_inputs": True}, "writable_inputs false -> true"),
        ({"gpus": 1}, "gpus 0 -> 1"),
        ({"image": "localrun-test/other:1"}, "image changed"),
    ],
)
def test_what_decides_the_result_is_a_reason(bench: Bench, change: dict[str, Any], reason: str) -> None:
    bench.env.engine.add_image("localrun-test/other:1")  # type: ignore[attr-defined]
    bench.run("no")
    if "gpus" in change:
        found = bench.env.app.manager._submitter.read(
            bench.env.app.manager._submitter.read(_request(bench)).request.replace(**change)
        )
        assert reason in bench.env.app.manager._submitter._match(found, ()).reasons  # type: ignore[union-attr]
        return
    assert reason in bench.reasons(**change)


def _request(bench: Bench) -> Any:
    from localrun.manager.request import Request

    return Request(bench.env.bundle, image=bench.env.image, pull="never", reuse="yes")


def test_a_changed_descriptor_is_the_reason(bench: Bench) -> None:
    bench.run("no")
    bench.env.bundle.write_text(json.dumps(descriptors.as_json(INPUTS, OUTPUTS, version="1.0.1")))
    assert bench.reasons() == ["descriptor changed"]


def test_a_changed_default_is_a_reason(bench: Bench) -> None:
    bench.run("no")
    inputs = {**INPUTS, "threshold": {**INPUTS["threshold"], "default": 11}}
    bench.env.bundle.write_text(json.dumps(descriptors.as_json(inputs, OUTPUTS)))
    assert bench.reasons() == ["descriptor changed", "inputs.threshold 10 -> 11"]


@pytest.mark.parametrize(
    "change",
    [
        {"cpus": 0.5},
        {"memory": 32 * 1024**2},
        {"timeout": 9.0},
        {"retries": 3},
        {"copy_inputs": True},
        {"detached": True},
        {"assigned_by": "other"},
        {"metadata": {"a": 1}},
    ],
)
def test_what_does_not_change_the_result_does_not_count(bench: Bench, change: dict[str, Any]) -> None:
    values = {"text": bench.file("text", "content")}
    bench.run("no", values=values)
    assert bench.submit(values=values, **change).reused


def test_metadata_that_is_not_stored_is_reported(bench: Bench) -> None:
    bench.run("no")
    bench.run(metadata={"a": 1})
    assert bench.notes[-1].endswith("; the metadata is not stored")


# -- inputs by content ---------------------------------------------------------------------------


def test_a_copy_of_a_file_has_the_same_content(bench: Bench) -> None:
    one = bench.file("one", "content")
    bench.run("no", values={"text": one})
    other = Path(shutil.copy(one, bench.folder / "other"))
    one.unlink()
    assert bench.submit(values={"text": other}).reused


def test_a_changed_file_is_the_reason(bench: Bench) -> None:
    text = bench.file("text", "content")
    bench.run("no", values={"text": text})
    text.write_text("CONTENT")
    assert bench.reasons(values={"text": text}) == ["inputs.text changed"]


def test_a_file_that_was_changed_without_a_new_time_is_noticed(bench: Bench) -> None:
    text = bench.file("text", "content")
    status = text.stat()
    bench.run("no", values={"text": text})
    text.write_text("CONTENT")
    os.utime(text, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert bench.reasons(values={"text": text}) == ["inputs.text changed"]


def test_an_earlier_content_is_found_after_the_mounted_file_has_changed(bench: Bench) -> None:
    text = bench.file("text", "one")
    first = bench.run("no", values={"text": text})
    text.write_text("two")
    second = bench.run(values={"text": text})
    assert bench.run(values={"text": bench.file("other", "one")}).id == first.id
    assert bench.run(values={"text": bench.file("third", "two")}).id == second.id


def test_the_items_of_an_array_count_in_their_order(bench: Bench) -> None:
    one, two = bench.file("one", "1"), bench.file("two", "2")
    bench.run("no", values={"texts": [one, two]})
    assert bench.reasons(values={"texts": [two, one]}) == ["inputs.texts changed"]
    assert bench.submit(values={"texts": [one, two]}).reused


def test_a_large_file_is_not_read_without_the_option_and_recognised_by_its_state(bench: Bench) -> None:
    large = bench.file("large", b"x" * (1 << 20) + b"y")
    first = bench.run("no", values={"text": large})
    assert first.run_plan.contents is not None
    assert first.run_plan.contents["inputs.text"].startswith("~")
    assert bench.submit(values={"text": large}).reused
    assert bench.submit(values={"text": large, "threshold": 10}).reused
    assert bench.reasons(values={"text": large, "threshold": 11}) == ["inputs.threshold 10 -> 11"]


def test_a_large_file_that_was_read_once_is_recognised_by_its_content(bench: Bench) -> None:
    large = bench.file("large", b"x" * (1 << 20) + b"y")
    bench.run("no", values={"text": large})
    assert bench.submit(values={"text": large}).reused
    os.utime(large)
    assert bench.submit(values={"text": large}).reused


def test_a_large_file_that_may_have_changed_before_it_was_read_is_not_recognised(bench: Bench) -> None:
    large = bench.file("large", b"x" * (1 << 20) + b"y")
    bench.run("no", values={"text": large})
    os.utime(large)
    assert bench.reasons(values={"text": large}) == ["inputs.text changed"]


def test_a_large_file_is_read_with_the_option_and_that_is_said(bench: Bench) -> None:
    large = bench.file("large", b"x" * (1 << 20) + b"y")
    bench.run(values={"text": large})
    assert bench.notes[0] == "reading 1 MiB of files to compare them with earlier tasks"
    copy = Path(shutil.copy(large, bench.folder / "copy"))
    assert bench.submit(values={"text": copy}).reused


def test_a_file_that_changes_while_the_program_runs_gives_no_result_to_reuse(tmp_path: Path) -> None:
    text = tmp_path / "text"

    class Changing(Program):
        def __call__(self, container: FakeContainer) -> int:
            code = super().__call__(container)
            text.write_text(f"content {self.runs}")
            return code

    with bench_in(tmp_path, Changing()) as bench:
        text.write_text("content 0")
        bench.run("no", values={"text": text})
        assert not bench.submit(values={"text": bench.file("same", "content 0")}).reused


SQUARE = {"type": "Polygon", "coordinates": [[[0, 0], [4, 0], [4, 4], [0, 0]]]}
OTHER = {"type": "Polygon", "coordinates": [[[1, 1], [5, 1], [5, 5], [1, 1]]]}


@pytest.fixture
def image(bench: Bench) -> Path:
    """Return an image for a bundle that takes images."""
    inputs = {"image": {"id": "image"}, "images": {"id": "array", "subtype": "image"}}
    optional = {name: descriptors.parameter(kind, optional=True) for name, kind in inputs.items()}
    bench.env.bundle.write_text(json.dumps(descriptors.as_json(optional, OUTPUTS)))
    return bench.file("scan.png", png(9, 7))


def test_a_region_is_a_part_of_its_image(bench: Bench, image: Path) -> None:
    bench.run("no", values={"image": {"file": image, "region": SQUARE}})
    copy = bench.file("copy.png", image.read_bytes())
    assert bench.submit(values={"image": {"file": copy, "region": SQUARE}}).reused
    assert bench.reasons(values={"image": {"file": image, "region": OTHER}}) == ["inputs.image changed"]
    assert bench.reasons(values={"image": image}) == ["inputs.image changed"]


def test_a_crop_counts_by_its_pixels_and_its_region(bench: Bench, image: Path) -> None:
    bench.run("no", values={"image": {"file": image, "crop": SQUARE}})
    copy = bench.file("copy.png", image.read_bytes())
    assert bench.submit(values={"image": {"file": copy, "crop": SQUARE}}).reused
    # the same pixels, but elsewhere in the whole image
    assert bench.reasons(values={"image": {"file": image, "crop": OTHER}}) == ["inputs.image.crop changed"]


def test_regions_of_the_items_of_an_array_count(bench: Bench, image: Path) -> None:
    bench.run("no", values={"images": [image, {"file": image, "region": SQUARE}]})
    assert bench.submit(values={"images": [image, {"file": image, "region": SQUARE}]}).reused
    assert not bench.submit(values={"images": [{"file": image, "region": SQUARE}, image]}).reused
    assert not bench.submit(values={"images": [image]}).reused


def test_a_folder_of_inputs_equals_the_same_values(bench: Bench) -> None:
    folder = bench.folder / "given"
    folder.mkdir()
    (folder / "threshold").write_text("4")
    (folder / "text").write_text("content")
    bench.run("no", values={"threshold": 4, "text": bench.file("text", "content")})
    assert bench.submit(inputs_folder=folder).reused


def test_the_output_of_a_task_counts_by_its_content_as_an_input(bench: Bench) -> None:
    first = bench.run("no", values={"text": bench.file("text", "content")})
    second = bench.run("no", values={"text": Path(first.outputs["copy"])})
    assert bench.run(values={"text": bench.file("same", "content")}).id in (first.id, second.id)


def test_a_mounted_folder_counts_by_its_content(bench: Bench) -> None:
    source = bench.folder / "source"
    source.mkdir()
    (source / "main.py").write_text("one")
    mounts = [BindMount(source=str(source), target="/app")]
    bench.run("no", bind_mounts=mounts)
    (source / "main.py").write_text("one")
    assert bench.submit(bind_mounts=mounts).reused
    (source / "main.py").write_text("two")
    assert bench.reasons(bind_mounts=mounts) == ["mounts./app changed"]


def test_a_mounted_folder_with_many_files_is_looked_at_on_request_only(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contents, "_MOST_FILES", 2)
    source = bench.folder / "source"
    source.mkdir()
    for name in "abc":
        (source / name).write_text(name)
    mounts = [BindMount(source=str(source), target="/app")]
    first = bench.run("no", bind_mounts=mounts)
    assert first.run_plan.contents == {"mounts./app": ""}
    second = bench.run(bind_mounts=mounts)
    assert second.id != first.id
    assert bench.run(bind_mounts=mounts).id == second.id


def test_a_writable_mount_is_never_reused(bench: Bench) -> None:
    mounts = [BindMount(source=str(bench.folder), target="/app", read_only=False)]
    bench.run("no", bind_mounts=mounts)
    assert bench.reasons(bind_mounts=mounts) == [f"it can write to {bench.folder}, which is mounted"]


# -- outputs -------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", ["none!", "NONE", None])
def test_a_damaged_or_deleted_output_is_not_reused(bench: Bench, content: str | None) -> None:
    first = bench.run("no")
    output = Path(first.outputs["copy"])
    output.unlink() if content is None else output.write_text(content)
    what = "deleted" if content is None else "changed"
    assert bench.reasons() == [f"task {first.short_id} was the same, but outputs/copy was {what}"]
    assert bench.submit().reused  # the result of the second task


def test_a_change_of_a_large_output_is_noticed_by_its_time(tmp_path: Path) -> None:
    class Large(Program):
        def __call__(self, container: FakeContainer) -> int:
            code = super().__call__(container)
            (container.path("/outputs") / "copy").write_bytes(b"x" * (1 << 20))
            return code

    with bench_in(tmp_path, Large()) as bench:
        first = bench.run("no")
        entries = list((bench.env.app.store.path / "reuse/results").iterdir())
        assert [json.loads(entry.read_bytes())["outputs"] for entry in entries] == [{"files": None}]
        assert bench.submit().reused
        output = Path(first.outputs["copy"])
        status = output.stat()
        while output.stat().st_ctime_ns <= entries[0].stat().st_mtime_ns:  # the clock of files is coarse
            output.write_bytes(b"y" * (1 << 20))
        os.utime(output, ns=(status.st_atime_ns, status.st_mtime_ns))
        assert bench.reasons() == [f"task {first.short_id} was the same, but outputs/copy was changed"]


def test_new_files_among_the_outputs_are_a_change(bench: Bench) -> None:
    first = bench.run("no")
    (Path(first.folder) / "outputs/more").touch()
    assert bench.reasons() == [f"task {first.short_id} was the same, but outputs has more files"]


def test_outputs_whose_names_are_not_utf_8_are_verified(tmp_path: Path) -> None:
    class Odd(Program):
        def __call__(self, container: FakeContainer) -> int:
            (container.path("/outputs") / os.fsdecode(b"caf\xe9")).write_text("x")
            return super().__call__(container)

    with bench_in(tmp_path, Odd()) as bench:
        first = bench.run("no")
        assert bench.submit().reused
        (Path(first.folder) / "outputs" / os.fsdecode(b"caf\xe9")).write_text("y")
        reason = f"task {first.short_id} was the same, but outputs/caf\\xe9 was changed"
        assert bench.reasons() == [reason]


def test_a_deleted_task_is_not_reused(bench: Bench) -> None:
    first = bench.run("no")
    bench.env.app.remove(first.id)
    assert bench.reasons() == [f"task {first.short_id} was the same, but was deleted"]


def test_a_failed_task_is_not_reused(tmp_path: Path) -> None:
    class Failing(Program):
        def __call__(self, container: FakeContainer) -> int:
            super().__call__(container)
            return 1

    with bench_in(tmp_path, Failing()) as bench:
        assert bench.run("no").state is TaskState.FAILED
        assert not bench.submit().reused
        assert bench.program.runs == 2


def test_an_entry_of_a_task_that_has_not_finished_means_nothing(bench: Bench) -> None:
    first = bench.run("no")
    index = ReuseIndex(bench.env.app.store.path)
    name = next((bench.env.app.store.path / "reuse/results").iterdir()).name
    workspace = bench.env.app.store.open(first.id)
    workspace.save(first.replace(state=TaskState.RUNNING))
    index.add(name, first.id, Seal({}))
    assert bench.reasons() == [f"task {first.short_id} is the same, but is RUNNING"]


# -- network and secrets -------------------------------------------------------------------------


def test_a_task_with_a_network_is_reused_only_on_request(bench: Bench) -> None:
    bench.run("no", network=True)
    assert bench.reasons(network=True) == ["it may use the network; --reuse-all includes such tasks"]
    assert bench.submit("all", network=True).reused
    assert not bench.submit("all", network=False).reused


def test_secrets_count_by_their_values_which_are_not_stored(bench: Bench) -> None:
    bench.run("no", secrets={"KEY": "swordfish"})
    assert bench.reasons(secrets={"KEY": "swordfish"}) == ["it has secrets; --reuse-all includes such tasks"]
    assert bench.submit("all", secrets={"KEY": "swordfish"}).reused
    other = bench.submit("all", secrets={"KEY": "trombone"})
    assert list(other.not_reused) == ["secrets.KEY changed"]
    stored = [path for path in (bench.env.app.store.path / "reuse").rglob("*") if path.is_file()]
    assert all(b"swordfish" not in path.read_bytes() for path in stored)


def test_replicas_always_run(bench: Bench) -> None:
    assert bench.reasons(replicas=2) == ["a task with replicas always runs"]
    assert bench.reasons(replicas=2) == ["a task with replicas always runs"]
    assert not bench.submit().reused  # a replica is no result of its own


def test_a_task_that_waits_for_inputs_is_not_reused(bench: Bench) -> None:
    inputs = {**INPUTS, "needed": {"id": "integer"}}
    bench.env.bundle.write_text(json.dumps(descriptors.as_json(inputs, OUTPUTS)))
    task = bench.env.submit(reuse="yes", wait_for_inputs=True)
    assert list(task.not_reused) == ["not all of its inputs are known yet"]


# -- the index -----------------------------------------------------------------------------------


def test_a_task_of_an_older_version_is_not_reused(bench: Bench) -> None:
    first = bench.run("no")
    shutil.rmtree(bench.env.app.store.path / "reuse")
    assert bench.reasons() == ["no finished task of this bundle in this folder"]
    assert bench.run().id != first.id


def test_equal_tasks_of_many_threads_do_not_disturb_each_other(bench: Bench) -> None:
    def submit(number: int) -> bool:
        return bench.submit(values={"threshold": number % 3}).reused

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(submit, range(16)))
        assert list(pool.map(submit, range(16))) == [True] * 16
    entries = list((bench.env.app.store.path / "reuse/results").iterdir())
    assert len(entries) == 3  # and no temporary files


def test_a_damaged_index_only_costs_a_run(bench: Bench) -> None:
    bench.run("no")
    for path in (bench.env.app.store.path / "reuse").rglob("*"):
        if path.is_file():
            path.write_bytes(b"\xff{")
    assert not bench.submit().reused
    assert bench.submit().reused


def test_a_result_is_reused_in_a_folder_that_cannot_be_written(bench: Bench) -> None:
    first = bench.run("no")
    home = bench.env.app.store.path
    folders = [home, *(path for path in home.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    try:
        assert bench.run().id == first.id
    finally:
        for folder in folders:
            folder.chmod(0o755)


def test_the_list_of_recent_tasks_stays_short(tmp_path: Path) -> None:
    index = ReuseIndex(tmp_path)
    for number in range(2000):
        index.note_recent("family", f"{number:036}")
    found = index.recent("family")
    assert (len(found), found[0], found[-1]) == (64, f"{1999:036}", f"{1936:036}")
    assert (tmp_path / "reuse/recent/family").stat().st_size < 32 * 1024


def test_the_last_use_of_a_result_is_known(bench: Bench) -> None:
    first = bench.run("no")
    index = ReuseIndex(bench.env.app.store.path)
    assert index.last_use(first.id) == 0.0
    bench.run()
    assert index.last_use(first.id) >= (first.ended or 0.0) - 1
