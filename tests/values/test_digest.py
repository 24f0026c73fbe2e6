from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from localrun.errors import OutputsError
from localrun.platforms.iexec.digest import callback_digest, keccak_256, result_digest
from localrun.values import digest
from localrun.values.untrusted import ROOT, UnsafePath, UntrustedDir


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def result(folder: Path, *parts: str) -> str:
    with UntrustedDir(folder, "/iexec_out") as tree:
        spot = tree.find(parts) if parts else ROOT
        assert spot is not None
        return result_digest(tree, spot)


# -- as iExec ------------------------------------------------------------------------------------


def test_the_digest_of_a_file_is_the_sha256_of_its_content(tmp_path: Path) -> None:
    (tmp_path / "result").write_bytes(b"hello")
    want = "0x2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    assert digest.digest_file(tmp_path / "result") == result(tmp_path, "result") == want


def test_the_digest_of_a_folder_is_the_keccak_of_its_files_digests_by_name(tmp_path: Path) -> None:
    # Given files that are not written in the order of their names
    for name, content in (("b", b"2"), ("a", b"1"), ("B", b"3")):
        (tmp_path / name).write_bytes(content)

    # Then they are taken in that order, with their content alone
    assert result(tmp_path) == "0x" + keccak_256(sha256(b"3") + sha256(b"1") + sha256(b"2")).hex()


def test_names_are_sorted_as_java_does(tmp_path: Path) -> None:
    # Given a sign beyond 16 bits, which Java writes as two smaller units
    (tmp_path / "\N{GRINNING FACE}").write_bytes(b"1")
    (tmp_path / "\N{FULLWIDTH LATIN SMALL LETTER A}").write_bytes(b"2")
    assert result(tmp_path) == "0x" + keccak_256(sha256(b"1") + sha256(b"2")).hex()


def test_what_is_below_a_folder_of_the_folder_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1")
    before = result(tmp_path)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "c").write_bytes(b"2")
    assert result(tmp_path) == before == "0x" + keccak_256(sha256(b"1")).hex()


def test_a_link_to_a_file_beside_it_counts_as_that_file_and_one_to_nothing_does_not(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1")
    (tmp_path / "b").symlink_to("a")
    assert result(tmp_path) == "0x" + keccak_256(sha256(b"1") * 2).hex()
    (tmp_path / "b").unlink()
    os.mkfifo(tmp_path / "b")
    assert result(tmp_path) == "0x" + keccak_256(sha256(b"1")).hex()


def test_a_pipe_has_no_digest(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UnsafePath, match="got a pipe"):
        result(tmp_path, "pipe")
    with pytest.raises(OutputsError, match="cannot compute the digest"):
        digest.digest_file(tmp_path / "pipe")


@pytest.mark.parametrize(("data", "digits"), [("0x0102", "0102"), ("0102", "0102"), ("0x102", "0102")])
def test_the_digest_of_a_callback_is_the_keccak_of_its_bytes(data: str, digits: str) -> None:
    assert callback_digest(data) == "0x" + keccak_256(bytes.fromhex(digits)).hex()


@pytest.mark.parametrize("data", ["", "0x", "0xZZ", "hello", "01 02"])
def test_a_callback_that_is_no_hexadecimal_number_is_refused(data: str) -> None:
    with pytest.raises(ValueError, match="hexadecimal"):
        callback_digest(data)


# -- a whole folder ------------------------------------------------------------------------------


def test_a_folder_has_a_digest_for_each_file_however_deep(tmp_path: Path) -> None:
    (tmp_path / "x" / "y").mkdir(parents=True)
    (tmp_path / "x" / "y" / "one").write_bytes(b"1")
    (tmp_path / "two").write_bytes(b"2")
    found = digest.digest_folder(tmp_path)
    assert found.files == {"two": f"0x{sha256(b'2').hex()}", "x/y/one": f"0x{sha256(b'1').hex()}"}


def test_equal_folders_have_equal_digests_and_a_change_anywhere_changes_them(tmp_path: Path) -> None:
    def made(name: str, **files: str) -> str:
        folder = tmp_path / name
        (folder / "deep").mkdir(parents=True)
        for file, content in files.items():
            (folder / "deep" / file).write_text(content)
        return digest.digest_folder(folder).digest

    same = made("1", a="x", b="y")
    others = [made("3", a="x", b="z"), made("4", a="x", c="y"), made("5", a="x"), made("6", a="y", b="x")]
    assert made("2", b="y", a="x") == same
    assert len({same, *others}) == 5


def test_what_is_no_file_is_named_and_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/etc/passwd")
    (tmp_path / "loop").symlink_to(".")
    assert digest.digest_folder(tmp_path).files == {
        "link": "link to /etc/passwd",
        "loop": "link to .",
        "pipe": "pipe",
    }


def test_links_count_as_what_they_lead_to_in_the_container(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run/best").write_bytes(b"1")
    (tmp_path / "f").symlink_to("/outputs/run/best")
    (tmp_path / "fs").symlink_to("../outputs/run")
    (tmp_path / "out").symlink_to("/inputs/a")
    (tmp_path / "run/loop").symlink_to("../run")
    one = f"0x{sha256(b'1').hex()}"
    assert digest.digest_folder(tmp_path, inside="/outputs").files == {
        "f": one,
        "fs/best": one,
        "fs/loop": "link to ../run",
        "out": "link to /inputs/a",
        "run/best": one,
        "run/loop": "link to ../run",
    }


def test_files_can_be_left_out(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1")
    before = digest.digest_folder(tmp_path)
    (tmp_path / "computed.json").write_bytes(b"{}")
    assert digest.digest_folder(tmp_path, frozenset({"computed.json"})) == before
    assert digest.digest_folder(tmp_path) != before


def test_no_name_can_be_taken_for_another_files_content(tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "a").symlink_to("p\nq")
    (tmp_path / "1" / "r").symlink_to("s")
    (tmp_path / "2").mkdir()
    (tmp_path / "2" / "a").symlink_to("p")
    (tmp_path / "2" / "q\nr").symlink_to("s")
    assert digest.digest_folder(tmp_path / "1").digest != digest.digest_folder(tmp_path / "2").digest


def test_too_many_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digest, "MAX_ENTRIES", 3)
    (tmp_path / "x").mkdir()
    for name in ("a", "b", "x/c"):
        (tmp_path / name).touch()
    with pytest.raises(OutputsError) as caught:
        digest.digest_folder(tmp_path)
    assert "more than" in str(caught.value)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputsError, match="cannot compute the digest"):
        digest.digest_folder(tmp_path / "nowhere")
    with pytest.raises(OutputsError) as caught:
        digest.digest_file(tmp_path / "nothing")
    assert "no such file" in str(caught.value)


def test_a_huge_sparse_file_is_hashed_by_its_data_wherever_it_has_holes(tmp_path: Path) -> None:
    # Given two equal files of 1 TiB, one of which stores some of its zeros, and a different one
    for name, zeros, data in (("a", 0, b"data"), ("b", 2 * 1024**2, b"data"), ("c", 0, b"dbta")):
        with (tmp_path / name).open("wb") as stream:
            stream.write(b"head" + bytes(zeros))
            stream.seek(1024**4 - 4)
            stream.write(data)

    # Then the content decides
    files = digest.digest_folder(tmp_path).files
    assert files["a"] == files["b"] != files["c"]
