"""Outputs are downloaded into a folder, and a hostile zip writes nothing elsewhere."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import pytest

from localrun.api.remote.client import Refusal
from localrun.api.remote.connection import Reply
from localrun.api.remote.results import download_outputs
from tests.support.descriptors import make, parameter

ARRAY = {"id": "array", "subtype": "integer"}


class Client:
    """A server with one answer for each output."""

    def __init__(self, **contents: bytes) -> None:
        self._contents = contents

    def download_output(self, _run: str, name: str, target: Path) -> Reply:
        if name not in self._contents:
            return Reply(400, body=b'{"errorCode": "APPE-storage-reading-file-error", "message": "no"}')
        target.write_bytes(self._contents[name])
        return Reply(200)


def zipped(**members: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return stream.getvalue()


def download(folder: Path, outputs: dict[str, Any], **contents: bytes) -> list[str]:
    described = make({}, {name: parameter(kind) for name, kind in outputs.items()})
    client: Any = Client(**contents)
    return download_outputs(client, "run", described, folder)


def test_files_arrays_and_slides_have_the_layout_of_app_engine(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    outputs = {"n": "integer", "a": ARRAY, "image": "image", "slide": "image", "text": "file"}
    contents = {
        "n": b"7",
        "a": zipped(**{"a/0": "1", "a/array.yml": "size: 1"}),
        "image": b"\x89PNG",
        "slide": zipped(**{"slide/x.dcm": "x"}),
        "text": zipped(**{"text/0": "not unpacked"}),
    }
    assert download(folder, outputs, **contents) == []
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert found == {"n", "a/0", "a/array.yml", "image", "slide/x.dcm", "text"}


def test_an_output_that_the_server_does_not_have_is_reported(tmp_path: Path) -> None:
    problems = download(tmp_path / "out", {"n": "integer", "m": "integer"}, n=b"7")
    assert problems == ["m: 400 APPE-storage-reading-file-error: no"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["n"]


@pytest.mark.parametrize("name", ["../evil", "/evil", "b/0", "a/../../evil", "a"])
def test_a_zip_that_leaves_its_output_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(Refusal, match="invalid zip of the output 'a'"):
        download(tmp_path / "out", {"a": ARRAY}, a=zipped(**{name: "x"}))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("content", [b"no zip", zipped(**{"a/0": "x", "a/0/1": "y"})])
def test_a_broken_zip_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(Refusal, match="invalid zip of the output 'a'"):
        download(tmp_path / "out", {"a": ARRAY}, a=content)
