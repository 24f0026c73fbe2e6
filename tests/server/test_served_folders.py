"""Files that requests cannot name: hidden ones, the home and the journal."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from localrun.server.served_folders import ServedFolders
from tests.cli.test_inputs import INPUTS, OUTPUTS, program
from tests.support.descriptors import as_json
from tests.support.image_files import png
from tests.support.server_client import ServerEnvironment, serve_environment

PRIVATE = [
    "home/tasks/1/task.json",
    "home",
    "logs/heartbeat_detailed.jsonl",
    "logs",
    ".env",
    ".hidden/file",
    "data/.git/config",
    "data/../home/tasks/1/task.json",
    "./logs/../logs/heartbeat_detailed.jsonl",
    "link-to-home/tasks/1/task.json",
    "link-to-record",
    "link-to-hidden/file",
    "data/up/logs/heartbeat_detailed.jsonl",
    "data//..//logs//heartbeat_detailed.jsonl",
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A served folder with a home, logs and hidden files in it, and links to them."""
    for name in ("home/tasks/1/task.json", "logs/heartbeat_detailed.jsonl", ".env", ".hidden/file"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("secret")
    (tmp_path / "data/.git").mkdir(parents=True)
    (tmp_path / "data/.git/config").write_text("secret")
    (tmp_path / "data/public").write_text("public")
    (tmp_path / "link-to-home").symlink_to("home")
    (tmp_path / "link-to-record").symlink_to("home/tasks/1/task.json")
    (tmp_path / "link-to-hidden").symlink_to(".hidden")
    (tmp_path / "data/up").symlink_to("..")
    return tmp_path


def served(root: Path) -> ServedFolders:
    return ServedFolders([root], root / "home", root / "logs")


@pytest.mark.parametrize("name", PRIVATE)
@pytest.mark.parametrize("absolute", [False, True])
def test_private_files_cannot_be_named(root: Path, name: str, absolute: bool) -> None:
    assert served(root).find(f"{root}/{name}" if absolute else name) is None


@pytest.mark.parametrize("name", ["data/public", "./data/public", "data/up/data/public", "data", "."])
def test_other_files_can_be_named(root: Path, name: str) -> None:
    assert served(root).find(name) == (root / name).resolve()


def test_a_private_folder_is_recognised_by_another_name(root: Path) -> None:
    # Given a home whose path in the settings leads through a link
    (root.parent / "alias").symlink_to(root)
    found = ServedFolders([root], root.parent / "alias/home", root.parent / "alias/logs")
    assert found.find("home/tasks/1/task.json") is None
    assert found.find("logs/heartbeat_detailed.jsonl") is None


def test_a_root_in_a_hidden_folder_is_served(root: Path) -> None:
    found = ServedFolders([root / ".hidden"], root / "home", root / "logs")
    assert found.find("file") == root / ".hidden/file"
    assert found.find(str(root / ".hidden/file")) == root / ".hidden/file"


def test_with_the_journal_in_the_served_folder_only_its_files_are_private(root: Path) -> None:
    (root / "heartbeat_detailed.jsonl.1").write_text("secret")
    found = ServedFolders([root], root / "home", root)
    assert found.find("heartbeat_detailed.jsonl.1") is None
    assert found.find("data/public") == root / "data/public"


@pytest.fixture
def env(tmp_path: Path) -> Iterator[ServerEnvironment]:
    with serve_environment(tmp_path, program) as env:
        env.env.bundle.write_text(json.dumps(as_json(INPUTS, OUTPUTS)))
        (tmp_path / "image").write_bytes(png())
        (tmp_path / ".image").write_bytes(png())
        (tmp_path / "linked").symlink_to(".image")
        (tmp_path / "hidden-inside").mkdir()
        (tmp_path / "hidden-inside/0").write_bytes(png())
        (tmp_path / "hidden-inside/.env").write_text("secret")
        (tmp_path / "logs/image").write_bytes(png())
        home = env.env.app.settings.home
        home.mkdir(exist_ok=True)
        (home / "image").write_bytes(png())
        (tmp_path / "home-link").symlink_to(home)
        yield env


@pytest.mark.parametrize(
    "inputs",
    [
        {"image": "@logs/image"},
        {"image": "@.image"},
        {"image": "@linked"},
        {"image": "@home-link/image"},
        {"image": {"file": "@logs/image"}},
        {"image": "@image", "image.geojson": "@logs/heartbeat_detailed.jsonl"},
        {"image": "@image", "images": ["@.image"]},
        {"image": "@image", "images": "@hidden-inside"},
        {"image": "@."},
        "logs",
        ".",
        "home-link",
    ],
)
def test_no_input_is_read_from_private_files(env: ServerEnvironment, inputs: Any) -> None:
    task = {"bundle": env.env.bundle.name, "image": env.env.image, "inputs": inputs}
    answer = env.client.post("/task", json={"task": task, "assigned_by": "ray"})
    assert answer.status_code == 422
    assert "not served" in answer.text or "contains files of the server" in answer.text


@pytest.mark.parametrize("key", ["dockerfile", "context"])
@pytest.mark.parametrize("name", ["logs", ".", ".image", "home-link"])
def test_a_build_reads_no_private_files(env: ServerEnvironment, key: str, name: str) -> None:
    task = {"bundle": env.env.bundle.name, key: name}
    answer = env.client.post("/task", json={"task": task, "assigned_by": "ray"})
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", "task", key]


def test_an_iexec_app_reads_no_private_files(env: ServerEnvironment) -> None:
    for name in ("logs/heartbeat_detailed.jsonl", ".image", "home-link/image"):
        task = {"profile": "iexec", "image": env.env.image, "input_files": [name]}
        answer = env.client.post("/task", json={"task": task, "assigned_by": "ray"})
        assert answer.status_code == 422


def test_bundles_in_private_folders_are_neither_found_nor_listed(env: ServerEnvironment) -> None:
    text = env.env.bundle.read_text()
    for folder in ("logs/secret", ".secret", f"{os.path.relpath(env.env.app.settings.home, env.folder)}/x"):
        (env.folder / folder).mkdir(parents=True)
        (env.folder / folder / "descriptor.yml").write_text(text)
        answer = env.client.post("/task", json={"task": {"bundle": folder}, "assigned_by": "ray"})
        assert answer.status_code == 422
        assert "unknown bundle" in answer.text
    paths = [bundle["path"] for bundle in env.client.get("/bundle").json()["bundles"]]
    assert not [path for path in paths if path and ("secret" in path or path.endswith("/x"))]
