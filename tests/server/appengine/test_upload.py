"""Uploads: App Engine's refusals in the order of its checks, with every problem that localrun found."""

from __future__ import annotations

import gzip
import io
import socket
import zipfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from localrun.server.appengine.uploaded_tasks import UploadedTasks
from tests.manager.test_recovery import add
from tests.support.app_engine_client import AppEngineEnvironment, assert_deviates, serve_app_engine
from tests.support.bundles import NAME, image
from tests.support.environment import DESCRIPTOR
from tests.support.images import tar_of
from tests.support.server_client import live
from tests.support.waiting import until

IMAGE = image()
GOOD = {"descriptor.yml": DESCRIPTOR.encode(), NAME: IMAGE}
EXTRACTION = (
    400,
    "APPE-internal-descriptor-extraction-error",
    "failed to extract descriptor.yml from from bundle",
)
SCHEMA = (
    400,
    "APPE-internal-bundle-schema-validation-error",
    "Schema validation failed for the descriptor file",
)
EXISTS = (409, "APPE-internal-task-exists", "Task already exists.")
ARCHIVE = (400, "APPE-internal-bundle-validation-error", "unknown task bundle archive format")
INCOMPLETE = (500, "APPE-internal-bundle-validation-error", "Invalid bundle format")
SERVER = (500, "APPE-internal-server-error", "Server error.")
HERE = (400, "APPE-internal-bundle-validation-error", "localrun cannot run this bundle")


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppEngineEnvironment]:
    with serve_app_engine(tmp_path_factory.mktemp("server")) as env:
        yield env


def packed(members: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def described(*changes: tuple[str, str]) -> dict[str, bytes]:
    """Return the members of a bundle with a changed descriptor."""
    text = DESCRIPTOR
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return {"descriptor.yml": text.encode(), NAME: IMAGE}


def post(env: AppEngineEnvironment, data: bytes, field: str = "task") -> Any:
    return env.request("POST", "tasks", files={field: ("bundle", data)})


def refusal(response: Any) -> tuple[int, str, str]:
    found = response.json()
    return response.status_code, found["errorCode"], found["message"]


def messages(response: Any) -> list[str]:
    details = response.json()["details"]
    assert details["type"] == "batch"
    return [one["message"] for one in details["errors"]]


@pytest.mark.parametrize(
    ("data", "expected", "words"),
    [
        pytest.param(b"not a zip", EXTRACTION, "is not a zip: it is a text", id="not a zip"),
        pytest.param(tar_of({"a": b"b"}), EXTRACTION, "it is a tar", id="a tar"),
        pytest.param(packed(GOOD)[:-100], EXTRACTION, "truncated or damaged", id="truncated"),
        pytest.param(b"", INCOMPLETE, "an empty file", id="empty"),
        pytest.param(
            packed({**GOOD, "descriptor.yml": b"a: ["}), EXTRACTION, "invalid YAML", id="invalid YAML"
        ),
        pytest.param(packed({NAME: IMAGE}), INCOMPLETE, "missing descriptor.yml", id="no descriptor"),
        pytest.param(
            packed({"x/descriptor.yml": DESCRIPTOR.encode(), NAME: IMAGE}),
            INCOMPLETE,
            "must be at the root",
            id="descriptor in a folder",
        ),
        pytest.param(
            packed({"descriptor.yml": DESCRIPTOR.encode(), "image.tar": IMAGE}),
            ARCHIVE,
            "must be NAMESPACE-VERSION.tar",
            id="archive without a dash",
        ),
        pytest.param(packed({**GOOD, NAME: b"hello"}), ARCHIVE, "it is not a tar", id="not an archive"),
        pytest.param(
            packed({**GOOD, NAME: tar_of({"hello": b"hello"})}), ARCHIVE, "not an image archive", id="a tar"
        ),
        pytest.param(
            packed({"descriptor.yml": DESCRIPTOR.encode(), "Com.Example-1.0.0.tar": IMAGE}),
            ARCHIVE,
            "which no registry takes",
            id="a name that no registry accepts",
        ),
        pytest.param(
            packed(described(("name_short: add\n", ""))), INCOMPLETE, "name_short", id="no name_short"
        ),
        pytest.param(
            packed(described((", display_name: A", ""))),
            INCOMPLETE,
            "inputs.a.display_name",
            id="no display_name",
        ),
        pytest.param(
            packed(described(("  input_folder: /inputs\n", ""))),
            INCOMPLETE,
            "configuration.input_folder",
            id="no input_folder",
        ),
        pytest.param(
            packed(described(("display_name: Sum", "display_name: Sum, dependencies: {matching: []}"))),
            INCOMPLETE,
            "derived_from",
            id="no derived_from",
        ),
        pytest.param(
            packed(
                described(
                    (
                        "sum: {type: integer",
                        "sum: {type: {id: datetime, before: '2024-01-01T00:00:00Z'}",
                    )
                )
            ),
            SERVER,
            "if a datetime has 'before' or 'after'",
            id="datetime with a range",
        ),
    ],
)
def test_a_bundle_that_app_engine_refuses_is_refused_with_its_code(
    env: AppEngineEnvironment, data: bytes, expected: tuple[int, str, str], words: str
) -> None:
    response = post(env, data)
    assert refusal(response) == expected
    assert words in "\n".join(messages(response))
    assert_deviates(response, "upload_details")
    assert {one["errorCode"] for one in response.json()["details"]["errors"]} == {expected[1]}


def test_a_descriptor_against_the_schema_is_refused_with_the_words_of_app_engine(
    env: AppEngineEnvironment,
) -> None:
    changes = [
        ("version: 1.0.0", "version:"),
        ("name: Add integers\n", ""),
        ("cpus: 1", "cpus: x"),
        (", email: a@example.com", ""),
        ("last_name: B", "last_name: 3"),
    ]
    response = post(env, packed(described(*changes)))
    assert refusal(response) == SCHEMA
    assert response.headers.get("warning") is None
    found = response.json()["details"]
    assert found["type"] == "batch"
    assert {(one["message"], one["details"]["parameterName"]) for one in found["errors"]} == {
        ("version null found, string expected", "version"),
        ("name is missing but it is required", "name"),
        ("configuration resources cpus string found, integer expected", "configuration.resources.cpus"),
        ("authors[0] email is missing but it is required", "authors[0].email"),
        ("authors[0] last_name integer found, string expected", "authors[0].last_name"),
    }
    for one in found["errors"]:
        assert one["errorCode"] == "APPE-internal-bundle-io-schema-validation-error"
        assert one["details"].keys() == {"type", "parameterName"}
        assert one["details"]["type"] == "parameter"


def test_a_problem_that_only_localrun_describes_is_shown_with_its_remedy(env: AppEngineEnvironment) -> None:
    response = post(env, packed(described(("name_short: add\n", ""))))
    (problem,) = response.json()["details"]["errors"]
    assert problem["message"].endswith("; add name_short with a short form of the name")
    assert problem["details"] == {"type": "parameter", "parameterName": "name_short"}


@pytest.mark.parametrize(
    ("text", "words"), [(b"", "$ the descriptor is empty"), (b"[]", "$ array found, object expected")]
)
def test_a_descriptor_that_is_not_an_object_is_against_the_schema(
    env: AppEngineEnvironment, text: bytes, words: str
) -> None:
    response = post(env, packed({**GOOD, "descriptor.yml": text}))
    assert refusal(response) == SCHEMA
    assert messages(response) == [words]


def test_the_schema_is_checked_before_the_image_and_all_problems_are_listed(
    env: AppEngineEnvironment,
) -> None:
    members = described(("version: 1.0.0", "version:"), ("name_short: add\n", ""))
    response = post(env, packed({**members, NAME: b"hello"}))
    assert refusal(response) == SCHEMA
    assert [one["errorCode"] for one in response.json()["details"]["errors"]] == [
        "APPE-internal-bundle-io-schema-validation-error",
        "APPE-internal-bundle-validation-error",
        "APPE-internal-bundle-validation-error",
    ]
    assert [word in "\n".join(messages(response)) for word in ("version", "a tar", "name_short")] == [
        True
    ] * 3


def test_the_image_is_checked_before_missing_keys(env: AppEngineEnvironment) -> None:
    members = described(("name_short: add\n", ""))
    response = post(env, packed({"descriptor.yml": members["descriptor.yml"], "image.tar": IMAGE}))
    assert refusal(response) == ARCHIVE
    assert len(messages(response)) == 2


@pytest.mark.parametrize(
    "members",
    [
        pytest.param({"descriptor.yml": DESCRIPTOR.encode()}, id="no image"),
        pytest.param({**GOOD, "x-y.tar": IMAGE}, id="two images"),
        pytest.param({**GOOD, "../x": b""}, id="a path out of the bundle"),
        pytest.param(described(("output_folder: /outputs", "output_folder: /inputs")), id="one folder"),
    ],
)
def test_a_bundle_that_only_app_engine_accepts_is_refused_with_a_warning(
    env: AppEngineEnvironment, members: dict[str, bytes]
) -> None:
    response = post(env, packed(members))
    assert refusal(response) == HERE
    assert messages(response)
    assert_deviates(response, "bundle_unusable")


@pytest.mark.parametrize("ending", [".tar.gz", ".tgz"])
def test_a_compressed_image_that_app_engine_would_not_find_is_accepted_with_a_warning(
    tmp_path: Path, ending: str
) -> None:
    name = NAME.removesuffix(".tar") + ending
    with serve_app_engine(tmp_path, add) as env:
        response = post(env, packed({"descriptor.yml": DESCRIPTOR.encode(), name: gzip.compress(IMAGE)}))
        assert response.status_code == 200, response.text
        assert_deviates(response, "image_name")
        run_id = env.create_run(response.json())["id"]
        env.start_run(run_id, a=3, b=4)
        assert env.server.wait(run_id)["outputs"] == {"sum": 7}


def test_an_upload_that_is_not_a_form_is_refused(env: AppEngineEnvironment) -> None:
    given: tuple[dict[str, Any], ...] = ({"json": {}}, {"content": packed(GOOD)}, {"data": {"task": "x"}})
    for options in given:
        response = env.request("POST", "tasks", **options)
        assert refusal(response) == (500, "APPE-internal-not-multipart", "payload is not multipart")
        assert response.json()["details"] == {"type": "empty"}


@pytest.mark.parametrize(
    "body",
    [
        b"--b--\r\n",
        b'--b\r\nContent-Disposition: form-data; name="task"\r\n\r\nx\r\n--b--\r\n',
    ],
    ids=["no part", "a field"],
)
def test_an_upload_whose_first_part_is_not_a_file_is_refused(env: AppEngineEnvironment, body: bytes) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    response = env.request("POST", "tasks", content=body, headers=headers)
    assert refusal(response) == SERVER
    assert response.json()["details"] == {"type": "empty"}


@pytest.mark.parametrize(
    "body", [b"", b'--b\r\nContent-Disposition: form-data; filename="x"\r\n\r\nPK', b"x"]
)
def test_an_upload_that_ends_early_or_is_malformed_is_refused(env: AppEngineEnvironment, body: bytes) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    response = env.request("POST", "tasks", content=body, headers=headers)
    assert refusal(response) == SERVER
    assert response.json()["details"]["type"] == "server"
    assert list((env.service.app.settings.home / "appengine" / "tasks").glob(".*")) == []


def test_a_refused_upload_leaves_nothing(env: AppEngineEnvironment) -> None:
    before = env.get("tasks").json()
    post(env, packed({**GOOD, NAME: b"hello"}))
    assert env.get("tasks").json() == before
    assert list((env.service.app.settings.home / "appengine" / "tasks").glob(".*")) == []


@pytest.mark.parametrize("field", ["task", "file", "bundle"])
def test_the_name_of_the_field_does_not_matter_and_further_parts_are_ignored(
    tmp_path: Path, field: str
) -> None:
    with serve_app_engine(tmp_path) as env:
        files = [(field, ("x", packed(GOOD))), ("more", ("y", b"more"))]
        assert env.request("POST", "tasks", files=files).status_code == 200
        folders = list((env.service.app.settings.home / "appengine" / "tasks").iterdir())
        assert [sorted(path.name for path in folder.iterdir()) for folder in folders] == [
            ["bundle.zip", "descriptor.yml", "task.json"]
        ]


def test_a_duplicate_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    with serve_app_engine(tmp_path) as env:
        task = post(env, packed(GOOD)).json()
        others = [
            GOOD,
            described(("description: one", "description: other")),
            described(("name_short: add\n", "")),
            {**GOOD, NAME: b"hello"},
        ]
        for members in others:
            response = post(env, packed(members))
            assert refusal(response) == EXISTS
            assert response.json()["details"] == {"type": "empty"}
        assert env.get("tasks").json() == [task]
        inputs = env.get(f"tasks/{task['id']}/inputs").json()
        assert [one["description"] for one in inputs] == ["one", "other"]
        assert post(env, packed(described(("1.0.0", "1.0.1")))).status_code == 200


@pytest.mark.parametrize("is_duplicate", [True, False])
def test_the_order_of_a_bundle_does_not_matter(tmp_path: Path, is_duplicate: bool) -> None:
    with serve_app_engine(tmp_path) as env:
        members = GOOD if is_duplicate else described(("version: 1.0.0", "version:"))
        if is_duplicate:
            assert post(env, packed(GOOD)).status_code == 200
        response = post(env, packed(dict(reversed(list(members.items())))))
        assert refusal(response) == (EXISTS if is_duplicate else SCHEMA)
        assert_deviates(response, "image_first")


def test_a_partial_upload_of_a_dead_process_is_removed_at_the_start(tmp_path: Path) -> None:
    tasks = UploadedTasks(tmp_path)
    abandoned = tmp_path / ".upload.1-abc.localrun-tmp"
    abandoned.mkdir()
    (abandoned / "bundle.zip").write_bytes(b"PK")
    with tasks.receiving() as current:
        abandoned.mkdir(exist_ok=True)
        tasks.start()
        assert current.is_dir()
    assert tasks.all() == []
    assert list(tmp_path.iterdir()) == []


def test_of_identical_uploads_at_once_one_is_accepted(tmp_path: Path) -> None:
    with serve_app_engine(tmp_path) as env, ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda _: post(env, packed(GOOD)).status_code, range(8)))
        assert sorted(statuses) == [200] + [409] * 7
        assert len(env.get("tasks").json()) == 1


def test_an_upload_whose_client_goes_away_leaves_nothing(tmp_path: Path) -> None:
    with serve_app_engine(tmp_path) as env, live(env.server.site) as address:
        folder = env.service.app.settings.home / "appengine" / "tasks"
        host, _, port = address.removeprefix("http://").partition(":")
        head = (
            f"POST /api/v1/tasks HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: 1000\r\n"
            "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
        )
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(head.encode() + b'--b\r\nContent-Disposition: form-data; filename="x"\r\n\r\n')
            until(lambda: folder.is_dir() and list(folder.iterdir()))
        until(lambda: not list(folder.iterdir()))
        assert env.get("tasks").json() == []
