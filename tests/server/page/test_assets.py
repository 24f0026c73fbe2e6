from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from localrun.server.page.assets import PageAssets
from tests.support.server_client import ServerEnvironment, serve_environment

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
BROWSER = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
SCRIPT = b"console.log('page');" * 100


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A built page."""
    found = tmp_path / "assets"
    (found / "static").mkdir(parents=True)
    (found / "index.html").write_text("<!doctype html><title>the page</title>")
    (found / "static" / "index-DfG7_x-9.js").write_bytes(SCRIPT)
    (found / "static" / "plain.css").write_text("body {}")
    (found / "icon.svg").write_text("<svg/>")
    (found / "licenses.txt").write_text("MIT")
    (found / ".hidden").write_text("hidden")
    (tmp_path / "secret.txt").write_text("secret")
    (found / "link.txt").symlink_to(tmp_path / "secret.txt")
    return found


@pytest.fixture
def served(folder: Path, tmp_path: Path) -> Iterator[ServerEnvironment]:
    with serve_environment(tmp_path) as env:
        env.site.page = PageAssets(folder)
        yield env


@pytest.mark.parametrize(
    "path",
    ["/ui/", "/ui/task/3f9c", "/ui/run?bundle=a&x=1", "/ui/compare?a=1&b=2", "/ui/queue", "/ui/events"],
)
def test_each_view_is_the_page_with_its_policy(served: ServerEnvironment, path: str) -> None:
    answer = served.client.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "the page" in answer.text
    assert answer.headers["content-security-policy"] == POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    ("name", "media"),
    [
        ("static/index-DfG7_x-9.js", "text/javascript; charset=utf-8"),
        ("static/plain.css", "text/css; charset=utf-8"),
        ("icon.svg", "image/svg+xml"),
        ("licenses.txt", "text/plain; charset=utf-8"),
    ],
)
def test_a_file_has_its_type(served: ServerEnvironment, name: str, media: str) -> None:
    answer = served.client.get(f"/ui/{name}")
    assert (answer.status_code, answer.headers["content-type"]) == (200, media)
    assert answer.headers["content-security-policy"] == POLICY


def test_only_a_name_with_a_hash_is_cached_forever(served: ServerEnvironment) -> None:
    hashed = served.client.get("/ui/static/index-DfG7_x-9.js").headers["cache-control"]
    assert hashed == "public, max-age=31536000, immutable"
    assert served.client.get("/ui/static/plain.css").headers["cache-control"] == "no-cache"


def test_a_file_is_compressed_for_clients_that_accept_it(served: ServerEnvironment) -> None:
    path = "/ui/static/index-DfG7_x-9.js"
    packed = served.client.get(path, headers={"accept-encoding": "gzip"})
    plain = served.client.get(path, headers={"accept-encoding": "gzip;q=0, br"})
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) == len(gzip.compress(SCRIPT, 9, mtime=0))
    assert packed.content == plain.content == SCRIPT
    assert "content-encoding" not in plain.headers


def test_an_unchanged_file_is_not_sent_again_and_a_changed_one_is(
    served: ServerEnvironment, folder: Path
) -> None:
    tag = served.client.get("/ui/").headers["etag"]
    assert served.client.get("/ui/", headers={"if-none-match": f'"x", W/{tag}'}).status_code == 304
    (folder / "index.html").write_text("<!doctype html><title>another page</title>")
    answer = served.client.get("/ui/", headers={"if-none-match": tag})
    assert (answer.status_code, "another page" in answer.text) == (200, True)


@pytest.mark.parametrize(
    "path",
    [
        "nope", "static/nope.js", "static/", "static", "link.txt", ".hidden", "%2e%2e%2fsecret.txt",
        "..%2Fsecret.txt", "static%2f..%2f..%2fsecret.txt", "%2Fetc%2Fpasswd", "a%00b", "..%5Csecret.txt",
        "task/a/b", "task/", "queue/x",
    ],
)  # fmt: skip
def test_nothing_but_the_files_of_the_page_is_served(served: ServerEnvironment, path: str) -> None:
    answer = served.client.get(f"/ui/{path}")
    assert answer.status_code == 404
    assert answer.headers["content-security-policy"] == POLICY
    assert "secret" not in answer.text


def test_head_of_the_page_has_the_headers_of_get(served: ServerEnvironment) -> None:
    got, head = served.client.get("/ui/"), served.client.head("/ui/")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == got.headers["content-length"]
    assert served.client.head("/ui/nope").status_code == 404


def test_the_page_is_open_and_the_data_is_not(folder: Path, tmp_path: Path) -> None:
    with serve_environment(tmp_path, token="secret-token") as env:
        env.site.page = PageAssets(folder)
        for path in ("/ui/", "/ui/task/x", "/ui/static/plain.css", "/ui/nope"):
            assert env.client.get(path).status_code in (200, 404)
        assert env.client.get("/", headers=BROWSER).status_code == 200
        for path in ("/task/list", "/bundle", "/heartbeat"):
            assert env.client.get(path, headers=BROWSER).status_code == 401
        assert env.client.get("/ui/", headers={"host": "evil.com"}).status_code == 421


def test_without_the_build_the_page_says_how_to_make_it(tmp_path: Path) -> None:
    with serve_environment(tmp_path) as env:
        env.site.page = PageAssets(tmp_path / "none")
        for path in ("/ui/", "/ui/task/x", "/ui/static/index-DfG7_x-9.js"):
            answer = env.client.get(path)
            assert answer.status_code == 200
            assert "<code>make ui</code>" in answer.text
            assert answer.headers["content-security-policy"] == POLICY
        assert env.client.get("/task/list").status_code == 200


def test_a_page_that_is_built_later_is_found(tmp_path: Path) -> None:
    page = PageAssets(tmp_path / "late")
    assert b"make ui" in bytes(page.respond("", {}).body)
    (tmp_path / "late").mkdir()
    (tmp_path / "late" / "index.html").write_text("built")
    assert bytes(page.respond("", {}).body) == b"built"


def test_a_pipe_among_the_files_does_not_block(folder: Path) -> None:
    os.mkfifo(folder / "pipe.js")
    assert PageAssets(folder).respond("pipe.js", {}).status_code == 404
