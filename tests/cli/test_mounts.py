"""`--mount`: paths of this machine over those of the image, as a recorded deviation from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import localrun as api
from localrun.engines.base import Mount
from localrun.engines.dockerd import DockerEngine
from localrun.engines.fake import FakeContainer
from localrun.errors import UsageError
from localrun.manager import export
from localrun.manager.payload import from_payload
from localrun.manager.rerun import request_from
from localrun.task.record import BindMount, TaskRecord
from tests.cli.command import Command, add
from tests.support.busybox_image import busybox_image
from tests.support.environment import DESCRIPTOR, Environment, make_environment
from tests.support.server_client import serve_environment


def with_offset(container: FakeContainer) -> int:
    """Add the number of a mounted file to the sum, and print how it is mounted."""
    for mount in container.spec.mounts:
        container.stdout.write(f"{mount}\n")
    a, b = (int(container.path(f"/inputs/{name}").read_text()) for name in "ab")
    container.path("/outputs/sum").write_text(str(a + b + int(container.path("/app/offset").read_text())))
    return 0


def options(env: Environment) -> dict[str, Any]:
    """Return the options of `submit` for the environment, with two values."""
    return {"use_image": env.image, "pull": "never", "home": env.app.settings.home, "a": 1, "b": 2}


@pytest.fixture
def source(localrun: Command) -> Path:
    """The folder of a program, which is mounted at /app."""
    folder = localrun.folder / "program"
    folder.mkdir()
    (folder / "offset").write_text("10")
    localrun.program = with_offset
    return folder


def test_a_mount_takes_effect_without_a_build_and_is_read_only(localrun: Command, source: Path) -> None:
    assert localrun.run("--mount", f"{source}:/app", "--json").json["outputs"] == {"sum": 17}
    (source / "offset").write_text("20")
    assert localrun.run("--mount", f"{source}:/app", "--json").json["outputs"] == {"sum": 27}
    assert f"{Mount(source, '/app')}\n" in localrun("logs", "last").out


def test_a_mount_can_be_writable(localrun: Command, source: Path) -> None:
    localrun.run("--mount", f"{source}:/app:rw")
    assert f"{Mount(source, '/app', read_only=False)}\n" in localrun("logs", "last").out


def test_a_mount_is_shown_as_a_deviation_from_the_image(localrun: Command, source: Path) -> None:
    result = localrun.run("--mount", f"{source}:/app")
    assert f"the image is not used as it is: {source} is mounted at /app (ro)" in result.err + result.out
    described = localrun("describe", "last").out
    assert f"  /app from {source} (ro, over the image)\n" in described
    assert f"-v {source}:/app:ro" in described
    assert f"{source}:/app" in localrun("debug", "last").out
    assert json.loads(localrun("debug", "last", "--raw").out)["local"]["mounts"] == [f"{source}:/app"]


def test_a_difference_in_mounts_is_a_difference_of_the_image(localrun: Command, source: Path) -> None:
    localrun.run("--mount", f"{source}:/app")
    first = localrun("status", "last", "--json").json["id"]
    localrun("rerun", "last")
    assert localrun("diff", first, "last").code == 0  # a rerun keeps the mounts
    localrun("rerun", "last", "--mount", f"{source}:/app:rw")
    (change,) = (
        one
        for one in localrun("diff", first, "last", "--json").json["differences"]
        if one["section"] == "image"
    )
    assert change == {
        "section": "image",
        "path": "mount /app",
        "first": f"ro {source}",
        "second": f"rw {source}",
    }


def test_every_invalid_mount_is_named_before_anything_starts(localrun: Command, source: Path) -> None:
    result = localrun.run("--mount", "x", "--mount", f"{source}/none:/app")
    assert (result.code, "'x' is not SRC:DST" in result.err) == (2, True)
    assert "no such file or folder" in result.err
    hidden = localrun.run("--mount", f"{source}:/outputs")
    assert "'/outputs' overlaps the output folder '/outputs'" in hidden.err
    assert localrun("list", "--json").json == []


def test_a_remote_engine_cannot_mount_and_says_so(tmp_path: Path) -> None:
    with make_environment(tmp_path, add, shares_files=False) as env, api.using(env.app):
        task = api.submit(env.bundle, mounts=[f"{tmp_path}:/app"], **options(env))
        task.wait()
        assert (task.info.cause, tmp_path.name in task.info.message) == ("ENGINE_FAILED", True)
        assert "instead of --mount" in task.info.remedy


def test_python_takes_the_same_mounts(tmp_path: Path) -> None:
    with make_environment(tmp_path, with_offset) as env, api.using(env.app):
        (tmp_path / "offset").write_text("3")
        assert api.run(env.bundle, mounts=[f"{tmp_path}:/app"], **options(env)) == {"sum": 6}
        with pytest.raises(UsageError) as caught:
            api.submit(env.bundle, mounts=["x", "/none:/y"], cpus=-1, **options(env))
        assert [problem.path for problem in caught.value.problems] == ["cpus", "mounts"]


def test_clients_of_the_server_cannot_mount_paths_of_its_machine(tmp_path: Path) -> None:
    for payload in ({"bundle": "b"}, {"image": "i", "command": ["x"]}, {"image": "i", "profile": "iexec"}):
        for name in ("mounts", "bind_mounts"):
            with pytest.raises(UsageError) as caught:
                from_payload({**payload, name: ["/etc:/x"]})
            assert name in {problem.path for problem in caught.value.problems}
    with serve_environment(tmp_path, with_offset) as served:
        (tmp_path / "offset").write_text("3")
        mount = BindMount(source=str(tmp_path), target="/app")
        task = served.env.run(values={"a": 1, "b": 2}, bind_mounts=[mount])
        assert task.outputs == {"sum": 6}
        answer = served.client.post(f"/task/{task.id}/rerun", json={})
        assert answer.status_code == 409
        assert "which a client cannot do" in answer.text
        actions = served.client.get(f"/task/{task.id}/view").json()["actions"]
        assert (actions["rerun"], "localrun rerun" in actions["rerun_problem"]) == (False, True)


def test_a_rerun_of_an_imported_task_mounts_nothing(tmp_path: Path) -> None:
    with make_environment(tmp_path, with_offset) as env, api.using(env.app):
        (tmp_path / "offset").write_text("3")
        api.run(env.bundle, mounts=[f"{tmp_path}:/app:rw"], **options(env))
        (record,) = env.app.tasks()
        env.app.store.remove(env.app.store.open(record.id), None)
        found = export.import_tasks([record], env.app.store, env.app.manager)
        assert found.imported == [record.id]
        workspace = env.app.store.open(record.id)
        imported: TaskRecord = workspace.load()
        assert imported.run_plan.bind_mounts == []
        assert any("is mounted at /app (rw)" in warning for warning in imported.warnings)
        workspace.descriptor.write_bytes(env.bundle.read_bytes())
        request = request_from(imported, workspace, lambda _: None, has_image=lambda _: True)
        assert request.bind_mounts == []


@pytest.mark.docker
def test_the_container_sees_the_mounted_files_and_cannot_change_them(
    docker_engine: DockerEngine, tmp_path: Path
) -> None:
    script = "sh /app/main.sh; touch /app/new 2>/dev/null && echo written; touch /other/new; true"
    for folder in ("app", "other"):
        (tmp_path / folder).mkdir(mode=0o777)
    (tmp_path / "app/main.sh").write_text("echo 7 > /outputs/sum")
    with (
        busybox_image(docker_engine, "sh", "-c", script) as name,
        make_environment(tmp_path, engine=docker_engine, image=name) as env,
        api.using(env.app),
    ):
        mounts = [f"{tmp_path}/app:/app", f"{tmp_path}/other:/other:rw"]
        task = api.submit(env.bundle, mounts=mounts, **options(env))
        task.wait()
        assert (task.outputs, task.logs()) == ({"sum": 7}, "")
    assert [(tmp_path / folder / "new").exists() for folder in ("app", "other")] == [False, True]


def test_an_edit_of_mounted_files_needs_no_build(tmp_path: Path) -> None:
    with make_environment(tmp_path, with_offset) as env, api.using(env.app):
        bundle = tmp_path / "bundle"
        (bundle / "program").mkdir(parents=True)
        (bundle / "descriptor.yml").write_text(DESCRIPTOR)
        (bundle / "Dockerfile").write_text("FROM scratch\nCOPY program /app\n")
        place: dict[str, Any] = {"home": env.app.settings.home, "a": 1, "b": 2}

        def run(offset: int) -> tuple[dict[str, Any], str]:
            (bundle / "program/offset").write_text(str(offset))
            task = api.submit(bundle, mounts=[f"{bundle}/program:/app"], **place)
            task.wait()
            return task.outputs, task.info.image_from

        assert run(10) == ({"sum": 13}, "built")
        assert run(200) == ({"sum": 203}, "present")
        assert run(3000) == ({"sum": 3003}, "present")
        (bundle / "Dockerfile").write_text("FROM scratch\nCOPY program /app\nENV A=1\n")
        assert run(10) == ({"sum": 13}, "built")
