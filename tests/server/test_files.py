from __future__ import annotations

import os
from pathlib import Path

import anyio
import pytest

from localrun.engines.fake import FakeContainer
from localrun.server import file_response
from tests.server.test_bundle_store import zip_bundle
from tests.support.server_client import add, serve_environment


def test_a_task_starts_when_its_last_input_has_come(tmp_path: Path) -> None:
    with serve_environment(tmp_path, add) as env:
        task_id = env.run(a=3)
        answer = env.client.put(f"/task/{task_id}/inputs/b", content=iter([b"1", b"0"]))
        assert answer.status_code == 200
        assert env.wait(task_id)["outputs"] == {"sum": 13}


def test_an_input_that_does_not_fit_is_refused_and_can_be_sent_again(tmp_path: Path) -> None:
    with serve_environment(tmp_path, add) as env:
        task_id = env.run(a=3)
        answer = env.client.put(f"/task/{task_id}/inputs/b", content=b"four")
        assert answer.status_code == 422
        assert answer.json()["detail"][0]["loc"] == ["body", "task", "inputs", "b"]
        assert env.client.put(f"/task/{task_id}/inputs/c", content=b"4").status_code == 422
        env.client.put(f"/task/{task_id}/inputs/b", content=b"4")
        assert env.wait(task_id)["outputs"] == {"sum": 7}
        assert env.client.put(f"/task/{task_id}/inputs/b", content=b"4").status_code == 409


def test_an_output_is_downloaded_as_a_file_that_no_browser_shows(tmp_path: Path) -> None:
    with serve_environment(tmp_path, add) as env:
        task_id = env.run(a=3, b=4)
        env.wait(task_id)
        listed = env.client.get(f"/task/{task_id}/outputs").json()
        answer = env.client.get(listed["files"]["sum"])
    assert listed["outputs"] == {"sum": 7}
    assert answer.content == b"7"
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''sum"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert answer.headers["content-length"] == "1"


def test_no_output_is_sent_before_the_end(tmp_path: Path) -> None:
    with serve_environment(tmp_path) as env:
        assert env.client.get(f"/task/{env.run(a=1)}/outputs/sum").status_code == 409


@pytest.mark.parametrize(
    "name", ["..%2Ftask.json", "%2Fetc%2Fpasswd", "link", "folder%2Fup", "up%2Ftask.json", "pipe", "no"]
)
def test_what_is_no_file_of_the_outputs_is_not_sent(tmp_path: Path, name: str) -> None:
    def program(container: FakeContainer) -> int:
        container.path("/outputs/link").symlink_to("/etc/passwd")
        container.path("/outputs/up").symlink_to("..")
        container.path("/outputs/folder").mkdir()
        container.path("/outputs/folder/up").symlink_to("../..")
        os.mkfifo(container.path("/outputs/pipe"))
        return add(container)

    with serve_environment(tmp_path, program) as env:
        task_id = env.run(a=3, b=4)
        env.wait(task_id)
        assert env.client.get(f"/task/{task_id}/outputs/{name}").status_code == 404


def test_of_a_folder_the_names_are_told_and_its_files_are_sent(tmp_path: Path) -> None:
    def program(container: FakeContainer) -> int:
        container.path("/outputs/many").mkdir()
        container.path("/outputs/many/0").write_text("zero")
        return add(container)

    with serve_environment(tmp_path, program) as env:
        task_id = env.run(a=3, b=4)
        env.wait(task_id)
        assert env.client.get(f"/task/{task_id}/outputs/many").json()["entries"] == ["0"]
        assert env.client.get(f"/task/{task_id}/outputs/many/0").text == "zero"


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/outputs/run1/best", 200),
        ("run1/best", 200),
        ("../outputs/run1/best", 200),
        ("chain", 200),
        ("/outputs/dir/best", 200),
        ("/inputs/a", 404),
        ("../inputs/a", 404),
        ("f", 404),
    ],
)
def test_a_link_is_sent_as_the_file_that_the_container_saw(tmp_path: Path, target: str, status: int) -> None:
    def program(container: FakeContainer) -> int:
        container.path("/outputs/run1").mkdir()
        container.path("/outputs/run1/best").write_text("best")
        container.path("/outputs/dir").symlink_to("/outputs/run1")
        container.path("/outputs/chain").symlink_to("dir/best")
        container.path("/outputs/f").symlink_to(target)
        return add(container)

    with serve_environment(tmp_path, program) as env:
        task_id = env.run(a=3, b=4)
        env.wait(task_id)
        answer = env.client.get(f"/task/{task_id}/outputs/f")
        assert answer.status_code == status
        if status == 200:
            assert answer.text == "best"
            assert env.client.get(f"/task/{task_id}/outputs/dir").json()["entries"] == ["best"]
            assert env.client.get(f"/task/{task_id}/outputs/dir/best").text == "best"
        else:
            assert "link" in answer.json()["detail"]


def test_a_file_that_shrinks_or_grows_is_never_sent_longer_than_was_said(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"12345")
    found = file_response.open_output(tmp_path, "x")
    assert not isinstance(found, list)
    assert found is not None
    with found:
        sent = file_response.prepare_download(found, "a/ü\n.txt")
        assert sent.headers["Content-Disposition"].endswith("''%C3%BC%0A.txt")
        assert sent.headers["Content-Length"] == "5"
        (tmp_path / "x").write_bytes(b"1234567890")
        assert b"".join(anyio.run(_all, sent)) == b"12345"


async def _all(sent: file_response.FileDownload) -> list[bytes]:
    return [chunk async for chunk in sent.chunks()]


@pytest.mark.parametrize(
    ("asked", "status", "content", "told"),
    [
        (None, 200, "0123456789", None),
        ("bytes=0-3", 206, "0123", "bytes 0-3/10"),
        ("bytes=7-", 206, "789", "bytes 7-9/10"),
        ("bytes=-2", 206, "89", "bytes 8-9/10"),
        ("bytes=-99", 206, "0123456789", "bytes 0-9/10"),
        ("bytes=8-99", 206, "89", "bytes 8-9/10"),
        ("bytes=0-1,3-4", 200, "0123456789", None),
        ("lines=0-1", 200, "0123456789", None),
        ("bytes=10-", 416, None, "bytes */10"),
        ("bytes=-0", 416, None, "bytes */10"),
        ("bytes=5-2", 400, None, None),
        ("bytes=x-", 400, None, None),
        ("bytes=-", 400, None, None),
    ],
)
def test_a_download_that_was_broken_off_goes_on_where_it_was(
    tmp_path: Path, asked: str | None, status: int, content: str | None, told: str | None
) -> None:
    def program(container: FakeContainer) -> int:
        container.path("/outputs/log").write_text("0123456789")
        return add(container)

    with serve_environment(tmp_path, program) as env:
        task_id = env.run(a=3, b=4)
        env.wait(task_id)
        headers = {"Range": asked} if asked else {}
        answer = env.client.get(f"/task/{task_id}/outputs/log", headers=headers)
    assert (answer.status_code, answer.headers.get("content-range")) == (status, told)
    if content is not None:
        assert answer.text == content
        assert answer.headers["content-length"] == str(len(content))
        assert answer.headers["accept-ranges"] == "bytes"


def test_a_part_of_another_file_than_was_meant_is_all_of_it(tmp_path: Path) -> None:
    with serve_environment(tmp_path, add) as env:
        task_id = env.run(a=30, b=4)
        env.wait(task_id)
        path = f"/task/{task_id}/outputs/sum"
        first = env.client.get(path)
        for name in ("etag", "last-modified"):
            again = env.client.get(path, headers={"Range": "bytes=1-", "If-Range": first.headers[name]})
            assert (again.status_code, again.text) == (206, "4")
        other = env.client.get(path, headers={"Range": "bytes=1-", "If-Range": '"other"'})
        assert (other.status_code, other.text) == (200, "34")


def test_an_uploaded_bundle_can_be_named_by_a_task(tmp_path: Path) -> None:
    with serve_environment(tmp_path, add, bundles=()) as env:
        kept = env.client.post("/bundle", content=zip_bundle()).json()
        assert (kept["status"], kept["name"]) == ("bundle_kept", "com.example.add:1.0.0")
        listed = env.client.get("/bundle").json()["bundles"]
        assert [(each["name"], each["path"]) for each in listed] == [(kept["name"], None)]
        task = {"bundle": kept["name"], "image": env.env.image, "inputs": {"a": 1, "b": 2}}
        assert env.wait(env.post(task)["task_id"])["outputs"] == {"sum": 3}


def test_what_is_no_bundle_or_too_large_or_a_form_is_refused(tmp_path: Path) -> None:
    with serve_environment(tmp_path, bundles=(), upload_limit=1000) as env:
        assert env.client.post("/bundle", content=b"hello").status_code == 422
        assert env.client.post("/bundle", content=bytes(1001)).status_code == 413
        assert env.client.post("/bundle", content=iter([bytes(600), bytes(600)])).status_code == 413
        assert env.client.post("/bundle", files={"file": b"x"}).status_code == 415
        assert env.client.get("/bundle").json()["bundles"] == []
    uploads = tmp_path / ".localrun" / "bundles"
    assert [path for path in uploads.rglob("*") if path.is_file()] == []


def test_another_bundle_of_the_same_name_is_a_conflict(tmp_path: Path) -> None:
    with serve_environment(tmp_path, bundles=()) as env:
        assert env.client.post("/bundle", content=zip_bundle()).status_code == 200
        other = zip_bundle(note="# changed\n")
        assert env.client.post("/bundle", content=other).status_code == 409
        assert env.client.post("/bundle", params={"replace": True}, content=other).status_code == 200


def test_no_file_of_the_host_outside_the_roots_becomes_an_input(tmp_path: Path) -> None:
    with serve_environment(tmp_path) as env:
        text = env.env.bundle.read_text().replace("a: {type: integer", "a: {type: file")
        env.env.bundle.write_text(text)
        (tmp_path / "mine.txt").write_text("mine")
        for name, status in (("@/etc/passwd", 422), ("/etc/passwd", 422), ("../x", 422), ("@mine.txt", 200)):
            answer = env.client.post("/task", json={"task": env.bundle(a=name, b=1), "assigned_by": "ray"})
            assert (name, answer.status_code) == (name, status)


def test_inputs_are_downloaded_as_the_program_reads_them(tmp_path: Path) -> None:
    with serve_environment(tmp_path, add) as env:
        task_id = env.run(a=3)
        assert env.client.get(f"/task/{task_id}/inputs/b").status_code == 404
        env.client.put(f"/task/{task_id}/inputs/b", content=b"4")
        env.wait(task_id)
        answer = env.client.get(f"/task/{task_id}/inputs/a")
        assert (answer.status_code, answer.content) == (200, b"3")
        assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''a"
        assert "sandbox" in answer.headers["content-security-policy"]
        for name in ("c", "..%2Ftask.json", "%2Fetc%2Fpasswd"):
            assert env.client.get(f"/task/{task_id}/inputs/{name}").status_code == 404


def test_a_mounted_input_is_the_file_of_the_user(tmp_path: Path) -> None:
    with serve_environment(
        tmp_path, lambda container: container.path("/outputs/sum").write_text("1") and 0
    ) as env:
        text = env.env.bundle.read_text()
        start, end = text.index("inputs:\n"), text.index("outputs:\n")
        given = "inputs:\n  f: {type: file, description: f, display_name: F}\n"
        env.env.bundle.write_text(text[:start] + given + text[end:])
        (tmp_path / "given.bin").write_bytes(b"12345")
        record = env.env.run(values={"f": tmp_path / "given.bin"})
        answer = env.client.get(f"/task/{record.id}/inputs/f", headers={"range": "bytes=1-2"})
        assert (answer.status_code, answer.content) == (206, b"23")
        (tmp_path / "given.bin").unlink()
        assert env.client.get(f"/task/{record.id}/inputs/f").status_code == 404
