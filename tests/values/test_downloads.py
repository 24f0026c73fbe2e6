from __future__ import annotations

import hashlib
import io
import sys
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.response import addinfourl

import fsspec  # type: ignore[import-untyped]
import pytest

from localrun.copying import DiskLimit
from localrun.values import downloads
from localrun.values.downloads import DownloadFailed, download
from localrun.values.urls import Url, is_url, mask_credentials, mask_url

MIB = 1024 * 1024


class Site(BaseHTTPRequestHandler):
    """Sends `/SIZE` bytes; `/cut` and `/chunked` end too early, `/stall` and `/drip` never.

    `/private` has a password.
    """

    def do_GET(self) -> None:
        name = self.path.partition("?")[0].strip("/")
        if name == "private" and self.headers.get("Authorization") != "Basic dTpwYSBzcw==":  # u:pa ss
            self.send_error(401)
            return
        if name == "moved":
            self.send_response(302)
            self.send_header("Location", "file:///etc/passwd")
            self.end_headers()
            return
        self.send_response(200)
        if name == "chunked":
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"5\r\nhello\r\n5\r\nhel")
            return
        size = int(name) if name.isdigit() else 5
        if name == "drip":
            self.drip()
            return
        self.send_header("Content-Length", str(size + 4 * (name in ("cut", "stall"))))
        self.end_headers()
        for _ in range(size // MIB):
            self.wfile.write(bytes(MIB))
        self.wfile.write(b"hello" if size == 5 else bytes(size % MIB))
        if name == "stall":
            self.wfile.flush()
            self.server.stalled.wait(60)  # type: ignore[attr-defined]

    def drip(self) -> None:
        """Send a byte now and then until the client closes the connection."""
        self.send_header("Content-Length", str(MIB))
        self.end_headers()
        with suppress(OSError):
            while not self.server.stalled.wait(0.01):  # type: ignore[attr-defined]
                self.wfile.write(b"x")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Do not log."""


@contextmanager
def running_site() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    server.stalled = threading.Event()  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.stalled.set()  # type: ignore[attr-defined]
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def site() -> Iterator[str]:
    with running_site() as address:
        yield address


@pytest.fixture
def memory() -> Iterator[Any]:
    files = fsspec.filesystem("memory")
    yield files
    files.store.clear()


def get(url: str, path: Path) -> str:
    return download(Url(url), path, DiskLimit(), lambda _done, _total: None)


def failure(url: str, path: Path) -> str:
    with pytest.raises(DownloadFailed) as caught:
        get(url, path)
    assert not list(path.parent.iterdir())
    return str(caught.value)


def test_a_file_is_downloaded_with_its_size_and_digest(site: str, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    found = download(Url(f"{site}/{3 * MIB + 1}"), tmp_path / "f", DiskLimit(), lambda *now: seen.append(now))
    content = bytes(3 * MIB + 1)
    assert found == hashlib.sha256(content).hexdigest()
    assert (tmp_path / "f").read_bytes() == content
    assert (tmp_path / "f").stat().st_mode & 0o777 == 0o644
    assert seen[-1] == (3 * MIB + 1, 3 * MIB + 1)


def test_a_slow_download_can_be_stopped_at_any_time(site: str, tmp_path: Path) -> None:
    def stop(done: int, _total: int | None) -> None:
        if done > 1:
            raise KeyError(done)

    with pytest.raises(KeyError):
        download(Url(f"{site}/drip"), tmp_path / "f", DiskLimit(), stop)
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_any_protocol_is_downloaded(memory: Any, tmp_path: Path) -> None:
    memory.pipe("/a/b.bin", bytes(2 * MIB + 1))
    assert get("memory://a/b.bin", tmp_path / "f") == hashlib.sha256(bytes(2 * MIB + 1)).hexdigest()
    (tmp_path / "f").unlink()
    assert "/a/c.bin" in failure("memory://a/c.bin", tmp_path / "f")
    assert failure("memory://a", tmp_path / "f") == "it is a folder"


def test_a_large_file_takes_constant_memory(site: str, memory: Any, tmp_path: Path) -> None:
    memory.pipe("/big", bytes(32 * MIB))
    for url in (f"{site}/{64 * MIB}", "memory://big"):
        tracemalloc.start()
        get(url, tmp_path / url[:6].strip(":/"))
        assert tracemalloc.get_traced_memory()[1] < 12 * MIB
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("cut", "the download ended 4 bytes too early"),
        ("chunked", "IncompleteRead"),
        ("private", "the server answered 401 Unauthorized"),
        ("moved", "file"),
    ],
)
def test_a_download_that_fails_leaves_nothing(site: str, name: str, reason: str, tmp_path: Path) -> None:
    assert reason in failure(f"{site}/{name}", tmp_path / "f")


def test_a_server_that_sends_nothing_more_is_given_up(
    site: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "_TIMEOUT", 0.2)
    assert "timed out" in failure(f"{site}/stall", tmp_path / "f")


def test_a_protocol_that_blocks_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "_TIMEOUT", 0.2)
    blocked = threading.Event()

    def chunks() -> Iterator[bytes]:
        yield b"a"
        blocked.wait(60)

    with pytest.raises(TimeoutError, match=r"no data for 0\.2 s"):
        list(downloads._timed(chunks()))
    blocked.set()


def test_user_and_password_are_sent_and_never_shown(site: str, tmp_path: Path) -> None:
    host = site.removeprefix("http://")
    assert (
        get(f"http://u:pa%20ss@{host}/private?token=abcdef", tmp_path / "f")
        == hashlib.sha256(b"hello").hexdigest()
    )
    (tmp_path / "f").unlink()
    reason = failure(f"http://u:wrong@{host}/private?token=abcdef", tmp_path / "f")
    assert "401" in reason
    assert "wrong" not in reason


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("https://e.org/a.png", "https://e.org/a.png"),
        ("https://me:secret@e.org:1/a", "https://***@e.org:1/a"),
        ("https://token@e.org/a?sig=1234&b", "https://***@e.org/a?sig=***&***"),
        ("s3://bucket/key#frag", "s3://bucket/key#***"),
        ("http://[::1", "http://***"),
    ],
)
def test_credentials_in_a_url_are_masked(url: str, masked: str) -> None:
    assert (mask_url(url), str(Url(url)), repr(Url(url))) == (masked, masked, masked)
    assert mask_credentials(f"cannot open {url}", url) == f"cannot open {masked}"


def test_credentials_in_an_error_are_masked() -> None:
    url = "https://me:pa%20ss@e.org/a?sig=12345"
    assert (
        mask_credentials("nonnumeric port: 'pa ss@e.org', sig 12345", url)
        == "nonnumeric port: '***@e.org', sig ***"
    )


@pytest.mark.parametrize("text", ["https://a", "S3://b/c", "simplecache::file:///a", "memory://x"])
def test_a_url_is_recognised(text: str) -> None:
    assert is_url(text)


@pytest.mark.parametrize("text", ["a/b", "./a://b", "/x", "C:\\x", "", "://", "task:1/a"])
def test_a_path_is_no_url(text: str) -> None:
    assert not is_url(text)


@pytest.mark.parametrize(
    "url",
    [
        *(
            "file:///etc/passwd",
            "FILE:///etc/passwd",
            "local:///etc/passwd",
            "simplecache::file:///etc/passwd",
        ),
        *("zip://a::file:///a.zip", "dir://x", "git://x", "reference://x", "simplecache::https://e.org/a"),
        *("filecache::local://x", "data://x", "https:///a"),
    ],
)
def test_files_of_this_machine_are_not_downloaded(url: str) -> None:
    assert Url(url).problem is not None


def test_what_is_missing_is_said_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Url("nope://x").problem == (
        "unknown protocol nope://",
        "use https://, or pass a local file: @FILE",
    )
    assert Url("memory://x").problem is None
    monkeypatch.setitem(sys.modules, "fsspec", None)
    why = Url("memory://x").problem
    assert why == (
        "memory:// needs the package fsspec, which is not installed",
        "install it: `pip install 'localrun-tasks[urls]'`",
    )
    assert Url("https://e.org/a").problem is None


def test_an_error_of_a_library_is_a_failed_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("no region for me:hunter22@b")

    monkeypatch.setattr(fsspec.core, "url_to_fs", fail)
    assert failure("memory://me:hunter22@b/a", tmp_path / "f") == "RuntimeError: no region for ***@b"


def test_a_server_may_redirect_to_ftp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = addinfourl(io.BytesIO(b"hello"), EmailMessage(), "ftp://e.org/f")  # has no `length`
    monkeypatch.setattr(downloads, "urlopen", lambda *_, **__: answer)
    assert get("https://e.org/f", tmp_path / "f") == hashlib.sha256(b"hello").hexdigest()
