from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from localrun.errors import Cause, LocalrunError, TaskKilled
from localrun.platforms.iexec import collect
from localrun.platforms.iexec.digest import keccak_256
from localrun.platforms.iexec.zip import ZIP_LIMIT
from localrun.values import CollectedOutputs

GOOD = {"deterministic-output-path": "/iexec_out/result.txt"}


def never() -> None:
    """Never cancel."""


class Left:
    """The outputs of an app, and the collected result."""

    def __init__(self, folder: Path) -> None:
        self.outputs = folder / "outputs"
        self.packed = folder / "iexec_out.zip"
        self.outputs.mkdir()
        self.write("result.txt", "42\n")
        self.write("computed.json", json.dumps(GOOD))

    def write(self, name: str, content: str | bytes) -> Path:
        path = self.outputs / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def computed(self, **found: Any) -> None:
        self.write(
            "computed.json", json.dumps({key.replace("_", "-"): value for key, value in found.items()})
        )

    def collected(
        self,
        *,
        callback: bool = False,
        streams: Mapping[str, str] | None = None,
        check: Callable[[], None] = never,
    ) -> CollectedOutputs:
        return collect(
            self.outputs, self.packed, callback=callback, streams=streams or {}, check_cancelled=check
        )

    def names(self) -> list[str]:
        with zipfile.ZipFile(self.packed) as archive:
            return archive.namelist()

    def content(self, name: str) -> bytes:
        with zipfile.ZipFile(self.packed) as archive:
            return archive.read(name)


@pytest.fixture
def left(tmp_path: Path) -> Left:
    return Left(tmp_path)


def refused(found: CollectedOutputs, cause: Cause, *said: str) -> None:
    told = "\n".join([found.message, *map(str, found.problems)])
    assert found.cause is cause, told
    for part in said:
        assert part in told, told


# -- valid results ---------------------------------------------------------------------------------


def test_a_good_result_has_a_digest_and_is_packed(left: Left) -> None:
    found = left.collected()
    assert (found.problems, found.warnings, found.cause) == ((), (), None)
    assert found.outputs == {
        "digest": "0x" + hashlib.sha256(b"42\n").hexdigest(),
        "deterministic_output_path": "/iexec_out/result.txt",
        "result": str(left.packed),
    }
    assert left.names() == ["computed.json", "result.txt"]
    assert left.content("result.txt") == b"42\n"


def test_a_folder_may_be_the_result(left: Left) -> None:
    left.write("all/a", "1")
    left.write("all/b", "2")
    left.computed(deterministic_output_path="/iexec_out/all/")
    want = keccak_256(hashlib.sha256(b"1").digest() + hashlib.sha256(b"2").digest())
    assert left.collected().outputs["digest"] == f"0x{want.hex()}"


def test_the_result_of_a_task_with_a_callback_is_its_data(left: Left) -> None:
    left.computed(callback_data="0x2a")
    found = left.collected(callback=True)
    assert found.outputs["digest"] == f"0x{keccak_256(bytes([42])).hex()}"
    assert found.outputs["callback_data"] == "0x2a"


def test_keys_that_nobody_knows_do_no_harm(left: Left) -> None:
    left.write("computed.json", json.dumps({**GOOD, "app-version": 1, "execution-timestamp": "now"}))
    assert left.collected().cause is None


def test_what_the_app_wrote_is_added_to_the_result_when_it_is_not_empty(left: Left) -> None:
    left.collected(streams={"stdout": "hi\n", "stderr": ""})
    assert left.names() == ["computed.json", "result.txt", "stdout.txt"]
    assert left.content("stdout.txt") == b"hi\n"


def test_it_is_added_through_no_link(left: Left, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("keep")
    (left.outputs / "stdout.txt").symlink_to(tmp_path / "mine")
    left.write("stderr.txt/a", "a folder")
    found = left.collected(streams={"stdout": "hi\n", "stderr": "no\n"})
    assert (tmp_path / "mine").read_text() == "keep"
    assert (left.outputs / "stdout.txt").read_text() == "hi\n"
    assert found.cause is None


def test_equal_results_are_packed_into_equal_files(left: Left, tmp_path: Path) -> None:
    left.collected()
    (tmp_path / "2").mkdir()
    other = Left(tmp_path / "2")
    os.utime(other.outputs / "result.txt", (1, 1))
    other.collected()
    assert left.packed.read_bytes() == other.packed.read_bytes()


# -- the worker's checks, in its order -------------------------------------------------------------


def test_a_name_may_have_31_characters_and_no_more(left: Left) -> None:
    left.write("x" * 31, "")
    assert left.collected().cause is None
    left.write(f"deep/{'y' * 32}", "")
    found = left.collected()
    refused(found, Cause.RESULT_NAME_TOO_LONG, f"/iexec_out/deep/{'y' * 32} has a name of 32 characters")


def test_characters_are_counted_as_java_does_and_folders_not_at_all(left: Left) -> None:
    left.write(f"{'z' * 40}/a", "")
    left.write("\N{GRINNING FACE}" * 15, "")
    assert left.collected().cause is None
    left.write("\N{GRINNING FACE}" * 16, "")
    refused(left.collected(), Cause.RESULT_NAME_TOO_LONG, "32 characters")


def test_many_long_names_are_counted(left: Left) -> None:
    for number in range(25):
        left.write(f"{number:032}", "")
    refused(left.collected(), Cause.RESULT_NAME_TOO_LONG, "has 5 more names that are too long")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: path.mkdir(), "is a folder, not a file"),
        (lambda path: path.symlink_to("/etc/passwd"), "leaves the output folder"),
        (lambda path: path.write_bytes(bytes(2 * 1024**2)), "has 2 MiB; the limit is 1 MiB"),
    ],
)
def test_a_computed_json_that_is_no_short_file_counts_as_missing(
    left: Left, make: Callable[[Path], object], said: str
) -> None:
    (left.outputs / "computed.json").unlink()
    make(left.outputs / "computed.json")
    refused(left.collected(), Cause.COMPUTED_FILE_MISSING, "/iexec_out/computed.json", said)


def test_a_missing_computed_json_is_told_with_what_to_write(left: Left) -> None:
    (left.outputs / "computed.json").unlink()
    found = left.collected()
    refused(found, Cause.COMPUTED_FILE_MISSING, "/iexec_out/computed.json is missing")
    assert '{"deterministic-output-path": "/iexec_out/FILE"}' in found.problems[0].remedy
    assert found.outputs == {"result": str(left.packed)}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is not JSON"),
        ("{deterministic-output-path: /iexec_out/x}", "at line 1, column 2: '{deterministic"),
        ("[]", "is not a JSON object"),
        (b"\xff\xfe{", "is not JSON in UTF-8"),
        ("[" * 100_000, "is not JSON"),
        ("{}", "has no 'deterministic-output-path'"),
        ('{"deterministic-output-path": ""}', "must be a non-empty string, not ''"),
        ('{"deterministic-output-path": 7}', "must be a non-empty string, not 7"),
        ('{"deterministic-output-path": "/iexec_out/no"}', "'/iexec_out/no' does not exist"),
        (
            '{"deterministic-output-path": "iexec_out/result.txt"}',
            "write e.g. '/iexec_out/result.txt'",
        ),
        ('{"deterministic-output-path": "/iexec_outside"}', "is not in /iexec_out"),
        ('{"deterministic-output-path": "/iexec_out/../../etc/passwd"}', "leaves the output folder"),
        ('{"callback-data": "0x00"}', "run it with `--callback`"),
    ],
)
def test_a_computed_json_that_does_not_fit_is_told_with_what_is_wrong(
    left: Left, content: str | bytes, said: str
) -> None:
    left.write("computed.json", content)
    refused(left.collected(), Cause.DIGEST_FAILED, said)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"deterministic_output_path": "/iexec_out/result.txt"}, "has no 'callback-data'"),
        ({"callback_data": "hello"}, "'hello' is not a hexadecimal number such as 0x2a"),
        ({"callback_data": "0x"}, "is not a hexadecimal number"),
    ],
)
def test_a_callback_needs_data(left: Left, found: dict[str, str], said: str) -> None:
    left.computed(**found)
    refused(left.collected(callback=True), Cause.DIGEST_FAILED, said)


def test_a_result_that_leads_out_of_the_folder_is_not_read(left: Left, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s")
    (left.outputs / "result.txt").unlink()
    (left.outputs / "result.txt").symlink_to(tmp_path / "secret")
    found = left.collected()
    refused(found, Cause.DIGEST_FAILED, "leaves the output folder")
    assert left.content("result.txt") == b""


def test_a_result_that_cannot_be_packed_so_small_is_too_large(
    left: Left, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("localrun.platforms.iexec.zip.ZIP_LIMIT", 10_000)
    left.write("noise", os.urandom(20_000))
    found = left.collected()
    refused(found, Cause.RESULT_TOO_LARGE, "upload limit")
    assert "result" not in found.outputs
    assert "digest" in found.outputs
    assert [path.name for path in left.packed.parent.iterdir()] == ["outputs"]


def test_very_many_names_are_too_large_too(left: Left, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("localrun.platforms.iexec.zip.ZIP_LIMIT", 10_000)
    for number in range(200):
        left.write(f"z{number:029}", "")
    refused(left.collected(), Cause.RESULT_TOO_LARGE, "upload limit")


def test_a_huge_empty_file_is_not_packed_or_hashed_for_minutes(left: Left) -> None:
    with (left.outputs / "result.txt").open("wb") as stream:
        stream.truncate(10 * 1024**4)
    refused(left.collected(), Cause.RESULT_TOO_LARGE, "10 TiB")


def test_a_result_that_is_small_only_when_packed_is_warned_of(left: Left) -> None:
    left.write("zeros", bytes(ZIP_LIMIT + 1))
    found = left.collected()
    assert found.cause is None
    assert "`iapp test` rejects it" in found.warnings[0]


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.joinpath(*"d" * 70).mkdir(parents=True)])
def test_what_cannot_be_packed_is_named(left: Left, make: Callable[[Path], object]) -> None:
    make(left.outputs / "odd")
    refused(left.collected(), Cause.RESULT_NOT_PACKED, "/iexec_out")
    assert not left.packed.exists()


def test_an_output_folder_that_is_gone_is_a_fault_of_the_app(left: Left) -> None:
    for path in left.outputs.iterdir():
        path.unlink()
    left.outputs.rmdir()
    refused(left.collected(), Cause.RESULT_NOT_PACKED, "/iexec_out cannot be read")


def test_all_that_is_wrong_is_told_and_the_cause_is_the_first_that_the_worker_meets(
    left: Left, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("localrun.platforms.iexec.zip.ZIP_LIMIT", 10_000)
    left.write("n" * 40, os.urandom(20_000))
    left.write("computed.json", "{}")
    found = left.collected()
    refused(found, Cause.RESULT_NAME_TOO_LONG, "3 problems in the result")
    assert [problem.message.partition(" ")[0] for problem in found.problems] == ["has", "has", "contains"]
    (left.outputs / ("n" * 40)).rename(left.outputs / "n")
    refused(left.collected(), Cause.DIGEST_FAILED)


def test_a_full_disk_is_told_as_that(left: Left, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*given: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("localrun.platforms.iexec.result.pack", full)
    with pytest.raises(LocalrunError) as caught:
        left.collected()
    assert caught.value.cause is Cause.DISK_FULL


def test_packing_can_be_stopped_and_leaves_nothing(left: Left) -> None:
    def stop() -> None:
        raise TaskKilled("stopped")

    with pytest.raises(TaskKilled):
        left.collected(check=stop)
    assert [path.name for path in left.packed.parent.iterdir()] == ["outputs"]


# -- limits of the digest --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (
            lambda left: left.write("all/deep/x", "1"),
            "the digest of /iexec_out/all ignores nested files (1)",
        ),
        (lambda left: (left.outputs / "all").mkdir(), "/iexec_out/all is empty"),
    ],
)
def test_the_weak_points_of_a_folders_digest_are_warned_of(
    left: Left, make: Callable[[Left], object], said: str
) -> None:
    make(left)
    left.computed(deterministic_output_path="/iexec_out/all")
    found = left.collected()
    assert found.cause is None
    assert said in found.warnings[0]


def test_a_digest_of_the_whole_folder_is_warned_of(left: Left) -> None:
    left.computed(deterministic_output_path="/iexec_out")
    assert "and the app's logs" in left.collected().warnings[0]


def test_links_are_warned_of(left: Left) -> None:
    (left.outputs / "l").symlink_to("result.txt")
    found = left.collected()
    assert "/iexec_out/l: links are empty files in iexec_out.zip" in found.warnings[0]
