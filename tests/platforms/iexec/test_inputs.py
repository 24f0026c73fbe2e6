from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from localrun import descriptor
from localrun.errors import Cause, InputsError, LocalrunError, UsageError
from localrun.platforms.iexec import IexecInputs, parse_inputs, prepare
from localrun.platforms.iexec.digest import keccak_256
from localrun.platforms.iexec.download import fetch
from localrun.platforms.iexec.layout import NO_ADDRESS, split_args
from tests.support.web_server import website

URL = "https://example.com/data/numbers.csv"
URL_NAME = "0x" + hashlib.sha256(URL.encode()).hexdigest()


def problems(error: LocalrunError) -> str:
    return "\n".join(map(str, error.problems))


# -- arguments -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ("", []),
        ("  ", []),
        ("a  b", ["a", "b"]),
        ("'a b' \"c d\"", ["a b", "c d"]),
        ("a' 'b", ["a b"]),
        ('"it\'s"', ["it's"]),
        ("a\tb", ["a\tb"]),  # only spaces separate words
        ("a\\ b", ["a\\", "b"]),
        ("a '' b", ["a", "b"]),
    ],
)
def test_arguments_are_cut_as_the_worker_cuts_them(args: str, words: list[str]) -> None:
    assert split_args(args) == words


def test_a_quote_that_is_left_open_is_refused() -> None:
    with pytest.raises(InputsError) as caught:
        prepare("app", IexecInputs(args="say 'hello"))
    assert "unclosed quote '" in problems(caught.value)


def test_without_arguments_the_image_says_what_to_run() -> None:
    assert prepare("app", IexecInputs(args=" ")).command is None
    assert prepare("app", IexecInputs(args="a b")).command == ["a", "b"]


# -- files -----------------------------------------------------------------------------------------


def test_an_input_file_has_the_digest_of_its_url_as_its_name(tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    file.write_text("1\n")
    found = prepare("app", IexecInputs(input_files=(f"{URL}=@{file}",)))
    assert found.files == {URL_NAME: file}
    assert found.environment["IEXEC_INPUT_FILE_NAME_1"] == URL_NAME


def test_a_file_without_a_url_has_the_digest_of_its_path_as_its_name(tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    file.write_text("1\n")
    found = prepare("app", IexecInputs(input_files=(str(file),)))
    assert list(found.files) == ["0x" + hashlib.sha256(str(file).encode()).hexdigest()]


def test_a_url_alone_is_to_be_fetched() -> None:
    found = prepare("app", IexecInputs(input_files=(URL,)))
    assert (found.files, found.downloads) == ({}, {URL_NAME: (URL, "")})


def test_every_input_file_is_an_input_of_the_descriptor(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    (tmp_path / "d").write_text("1")
    inputs = IexecInputs(input_files=(f"{URL}=@{tmp_path}/a", URL), datasets=(str(tmp_path / "d"),))
    found = prepare("registry/some/app:1.0", inputs)
    described = descriptor.read(found.descriptor)
    address = found.environment["IEXEC_DATASET_ADDRESS"]
    assert list(described.inputs) == [URL_NAME, address]
    assert (described.input_folder, described.output_folder) == ("/iexec_in", "/iexec_out")
    assert (described.name, described.resources.internet) == ("app 1 0", True)
    assert found.environment["IEXEC_INPUT_FILES_NUMBER"] == "2"  # as given


def test_a_dataset_is_called_by_the_address_that_it_is_given(tmp_path: Path) -> None:
    (tmp_path / "d").write_text("1")
    address = "0x" + "Ab" * 20
    found = prepare("app", IexecInputs(datasets=(f"{address}=@{tmp_path}/d",)))
    assert list(found.files) == [address.lower()]
    assert found.environment["IEXEC_DATASET_FILENAME"] == found.environment["IEXEC_DATASET_ADDRESS"]
    assert found.environment["IEXEC_DATASET_FILENAME"] == address.lower()


def test_a_dataset_without_an_address_is_called_the_same_wherever_it_lies(tmp_path: Path) -> None:
    names = []
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "d").write_text(folder)
        found = prepare("app", IexecInputs(datasets=(str(tmp_path / folder / "d"),)))
        names.append(found.environment["IEXEC_DATASET_FILENAME"])
    assert names[0] == names[1] == f"0x{keccak_256(b'd')[-20:].hex()}"


@pytest.mark.parametrize("form", ["{}", "0x{}"])
def test_a_dataset_is_compared_with_its_checksum(tmp_path: Path, form: str) -> None:
    (tmp_path / "d").write_text("1")
    right, wrong = (form.format(hashlib.sha256(data).hexdigest()) for data in (b"1", b"2"))
    assert prepare("app", IexecInputs(datasets=(f"{tmp_path}/d:{right}",))).files
    with pytest.raises(InputsError) as caught:
        prepare("app", IexecInputs(datasets=(f"{tmp_path}/d:{wrong}",)))
    assert caught.value.cause is Cause.DATASET_CHECKSUM
    assert right.removeprefix("0x") in problems(caught.value)


def test_what_is_no_checksum_is_refused_unless_a_file_is_called_so(tmp_path: Path) -> None:
    (tmp_path / "d").write_text("1")
    with pytest.raises(InputsError) as caught:
        prepare("app", IexecInputs(datasets=(f"{tmp_path}/d:abc",)))
    assert "invalid SHA-256 'abc'" in problems(caught.value)
    (tmp_path / "d:abc").write_text("1")
    assert prepare("app", IexecInputs(datasets=(f"{tmp_path}/d:abc",))).files


def test_everything_that_is_wrong_with_the_files_is_told_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    address = "0x" + "1" * 40
    inputs = IexecInputs(
        args="'",
        input_files=("nothing.csv", str(tmp_path), f"{tmp_path}/pipe", "ipfs://Qm"),
        datasets=(address,),
    )
    with pytest.raises(InputsError) as caught:
        prepare("app", inputs)
    told = problems(caught.value)
    for part in ("unclosed quote", "no such file: nothing.csv", "is a folder", "cannot read"):
        assert part in told
    assert "unsupported URL ipfs://Qm" in told
    assert f"{address} exists only on a blockchain; pass a local file for it: {address}=@FILE" in told


def test_two_datasets_of_one_name_are_refused(tmp_path: Path) -> None:
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "d").write_text("1")
    with pytest.raises(InputsError) as caught:
        prepare("app", IexecInputs(datasets=(f"{tmp_path}/x/d", f"{tmp_path}/y/d")))
    assert "two datasets have the same name; rename one, or write ADDRESS=@FILE" in problems(caught.value)


def test_who_may_not_read_every_file_may_not_have_one_fetched_either(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    inputs = IexecInputs(input_files=("a", URL))
    with pytest.raises(InputsError) as caught:
        prepare("app", inputs, lambda name: tmp_path / name)
    assert [problem.message for problem in caught.value.problems] == [
        f"{URL} is not downloaded for remote clients"
    ]


# -- the environment -------------------------------------------------------------------------------


def test_an_app_without_anything_has_the_environment_of_the_worker() -> None:
    found = prepare("app", IexecInputs()).environment
    ids = {name: found.pop(name) for name in ("IEXEC_TASK_ID", "IEXEC_DEAL_ID")}
    assert all(len(value) == 66 and value.startswith("0x") for value in ids.values())
    assert ids["IEXEC_TASK_ID"] != ids["IEXEC_DEAL_ID"]
    assert found == {
        "IEXEC_TASK_INDEX": "0",
        "IEXEC_IN": "/iexec_in",
        "IEXEC_OUT": "/iexec_out",
        "IEXEC_BOT_SIZE": "1",
        "IEXEC_BOT_FIRST_INDEX": "0",
        "IEXEC_BOT_TASK_INDEX": "0",
        "IEXEC_DATASET_ADDRESS": NO_ADDRESS,
        "IEXEC_DATASET_FILENAME": NO_ADDRESS,
        "IEXEC_INPUT_FILES_NUMBER": "0",
    }


def test_the_same_inputs_are_the_same_task_and_others_are_another() -> None:
    ids = [
        prepare(app, inputs).environment["IEXEC_TASK_ID"]
        for app, inputs in (
            ("a", IexecInputs()),
            ("a", IexecInputs()),
            ("b", IexecInputs()),
            ("a", IexecInputs(args="x")),
        )
    ]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3


def test_several_datasets_are_a_bulk(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).write_text(name)
    found = prepare("app", IexecInputs(datasets=(f"{tmp_path}/a", f"{tmp_path}/b")))
    names = list(found.files)
    assert found.environment["IEXEC_BULK_SLICE_SIZE"] == "2"
    assert [found.environment[f"IEXEC_DATASET_{n}_FILENAME"] for n in (1, 2)] == names
    assert found.environment["IEXEC_DATASET_FILENAME"] == NO_ADDRESS


def test_secrets_are_kept_apart_from_the_environment() -> None:
    found = prepare("app", IexecInputs(secrets={"1": "hunter22", "3": "ab"}, app_secret="deep-thought"))
    assert found.secrets == {
        "IEXEC_REQUESTER_SECRET_1": "hunter22",
        "IEXEC_REQUESTER_SECRET_3": "ab",
        "IEXEC_APP_DEVELOPER_SECRET": "deep-thought",
    }
    assert not set(found.secrets) & set(found.environment)
    (warning,) = found.warnings
    assert "IEXEC_REQUESTER_SECRET_3 is shorter than 4 characters" in warning


# -- parsing ---------------------------------------------------------------------------------------


def test_inputs_are_read_from_plain_values() -> None:
    given = {
        "args": "a",
        "input_files": ["x", Path("y")],
        "datasets": "d",
        "secrets": {1: "s"},
        "callback": True,
    }
    assert parse_inputs(given) == IexecInputs("a", ("x", "y"), ("d",), {"1": "s"}, None, callback=True)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"arg": "x"}, "arg: unknown argument of an iExec app; did you mean 'args'?"),
        ({"args": ["x"]}, "args: must be a string"),
        ({"input_files": [1]}, "input_files: must be a file, or a list of files"),
        ({"callback": 1}, "callback: must be true or false"),
        ({"secrets": {"one": "s"}}, "secrets: invalid number 'one'; expected 1, 2, 3, ..."),
        ({"secrets": ["hunter22"]}, "secrets: must be an object of strings, by number"),
    ],
)
def test_invalid_inputs_are_named(given: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_inputs(given)
    assert said in problems(caught.value)
    assert "hunter22" not in str(caught.value)


# -- downloads -------------------------------------------------------------------------------------


@pytest.fixture
def site() -> Iterator[str]:
    with website() as address:
        yield address


def test_a_file_of_the_web_is_fetched_and_compared(site: str) -> None:
    digest = hashlib.sha256(b"hello").hexdigest()
    assert b"".join(fetch(f"{site}/200", digest)) == b"hello"
    with pytest.raises(InputsError) as caught:
        list(fetch(f"{site}/200", "0" * 64))
    assert caught.value.cause is Cause.DATASET_CHECKSUM


@pytest.mark.parametrize(("page", "said"), [("404", "404 Not Found"), ("500", "500"), ("206", "too early")])
def test_a_page_that_says_an_error_is_not_taken_for_the_file(site: str, page: str, said: str) -> None:
    with pytest.raises(InputsError) as caught:
        list(fetch(f"{site}/{page}"))
    assert said in problems(caught.value)
    assert f"save it as a file and pass `{site}/{page}=@FILE`" in problems(caught.value)


def test_without_a_network_it_is_said_how_to_give_the_file() -> None:
    with pytest.raises(InputsError) as caught:
        list(fetch("http://127.0.0.1:9/a.csv"))
    assert "http://127.0.0.1:9/a.csv=@FILE" in problems(caught.value)
