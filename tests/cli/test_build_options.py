"""The options of a build: -f, --context, --target, --build-arg, --build-secret and --build-context."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from localrun.engines.base import BuildRequest, EngineImage, Progress, no_progress
from localrun.engines.fake import FakeEngine
from localrun.errors import Cause, ImageError
from tests.cli.command import Command
from tests.support.environment import DESCRIPTOR, IMAGE

VALUES = ("-i", "a=3", "-i", "b=4")
SECRET = "correct horse battery"


@pytest.fixture
def repository(localrun: Command) -> Path:
    """A repository whose two tasks share its root as the build context."""
    root = localrun.folder / "repo"
    for name in ("a", "b"):
        (root / "tasks" / name).mkdir(parents=True)
        (root / "tasks" / name / "descriptor.yml").write_text(DESCRIPTOR)
        (root / "tasks" / name / "Dockerfile").write_text(f"FROM scratch\nCOPY shared /{name}\n")
    (root / "shared").write_text("1")
    return root


def record(localrun: Command) -> dict[str, Any]:
    folder = Path(localrun("status", "last", "--json").json["folder"])
    found: dict[str, Any] = json.loads((folder / "task.json").read_bytes())
    return found


def request(localrun: Command) -> BuildRequest:
    (built,) = localrun.engines[-1].builds
    return built


def test_context_and_dockerfile_are_relative_to_the_current_directory(
    localrun: Command, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repository / "tasks" / "a")
    assert localrun("run", ".", "--context", "../..", "-f", "../b/Dockerfile", *VALUES).code == 0
    built = request(localrun)
    assert built.folder == repository
    assert built.dockerfile_path.resolve() == repository / "tasks/b/Dockerfile"


def test_the_dockerfile_of_the_task_is_used_with_a_shared_context(
    localrun: Command, repository: Path
) -> None:
    assert localrun("run", repository / "tasks/a", "--context", repository, *VALUES).code == 0
    assert request(localrun).dockerfile == "tasks/a/Dockerfile"
    (repository / "tasks/a/Dockerfile").rename(repository / "Dockerfile")
    assert localrun("run", repository / "tasks/a", "--context", repository, *VALUES).code == 0
    assert request(localrun).dockerfile == "Dockerfile"


def test_tasks_with_the_same_context_have_separate_images(localrun: Command, repository: Path) -> None:
    labels = []
    for name in ("a", "b"):
        localrun("run", repository / "tasks" / name, "--context", repository, *VALUES)
        labels.append(request(localrun).labels)
    assert labels[0] != labels[1]


@pytest.mark.parametrize("command", ["run", "validate", "build"])
def test_every_command_that_builds_takes_all_options(
    localrun: Command, repository: Path, command: str
) -> None:
    (localrun.folder / "key").write_text(SECRET)
    values = VALUES if command == "run" else ()
    more = ("-o", localrun.folder / "x.zip") if command == "build" else ()
    localrun(
        command,
        repository / "tasks/a",
        *("--context", repository, "-f", repository / "tasks/b/Dockerfile", "--target", "last"),
        *("--build-arg", "A=1", "--build-context", "base=docker-image://busybox"),
        *("--build-secret", f"id=key,src={localrun.folder / 'key'}", *values, *more),
    )
    built = request(localrun)
    assert (built.target, built.build_args) == ("last", {"A": "1"})
    assert built.contexts == {"base": "docker-image://busybox"}
    assert [(secret.id, secret.file) for secret in built.secrets] == [("key", localrun.folder / "key")]


def test_inspect_takes_the_options_and_builds_nothing(localrun: Command, repository: Path) -> None:
    assert localrun("inspect", repository / "tasks/a", "--context", repository, "--target", "x").code == 0
    assert localrun.engines[-1].builds == []


def test_rerun_remembers_everything_but_the_secrets(
    localrun: Command, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a task whose build had a secret
    monkeypatch.setenv("TOKEN", SECRET)
    options = ("--context", repository, "--target", "last", "--build-context", "base=docker-image://busybox")
    given = ("--build-arg", "A=1", "--build-secret", "id=token,env=TOKEN")
    assert localrun("run", repository / "tasks/a", *options, *given, *VALUES).code == 0
    assert SECRET not in json.dumps(record(localrun))
    assert record(localrun)["plan"]["build_secret_ids"] == ["token"]

    # When its image is gone, a rerun says that the secret is needed
    failed = localrun("rerun", "last")
    assert failed.code != 0
    assert "its build secrets are not stored: token" in failed.err
    assert "--build-secret id=token,src=FILE" in failed.err

    # Then it is enough to pass the secret again
    again = localrun("rerun", "last", "--build-secret", "id=token,env=TOKEN")
    assert again.code == 0, again.err
    built = request(localrun)
    assert (built.folder, built.target, built.build_args) == (repository, "last", {"A": "1"})
    assert built.contexts == {"base": "docker-image://busybox"}


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--build-secret", "id=a,src=/none/key", "secret 'a': cannot read /none/key: No such file"),
        (
            "--build-secret",
            "id=a,env=NOT_SET_HERE",
            "secret 'a': the environment variable NOT_SET_HERE",
        ),
        ("--build-secret", "src=/etc/hostname", "has no id"),
        ("--build-secret", "hunter2", "expected id=ID,src=FILE or id=ID,env=VARIABLE"),
        ("--build-context", "base=busybox", "expected NAME=docker-image://REFERENCE"),
        ("--build-context", "base=./folder", "expected NAME=docker-image://REFERENCE"),
    ],
)
def test_an_invalid_option_is_reported_before_anything_is_built(
    localrun: Command, repository: Path, option: str, value: str, message: str
) -> None:
    done = localrun("run", repository / "tasks/a", option, value, *VALUES)
    assert (done.code, message in " ".join(done.err.split())) == (2, True), done.err
    assert "hunter2" not in done.err


@pytest.mark.parametrize(
    ("option", "values"),
    [
        ("--build-arg", ("one", "A=1", "two")),
        ("--build-secret", ("id=one,src=none", "id=two,env=NOT_SET_TWO")),
        ("--build-context", ("one=x", "base=docker-image://busybox", "two=y")),
    ],
)
def test_all_invalid_values_of_an_option_are_reported_at_once(
    localrun: Command, repository: Path, option: str, values: tuple[str, ...]
) -> None:
    given = [part for value in values for part in (option, value)]
    done = localrun("run", repository / "tasks/a", *given, *VALUES)
    assert done.code == 2
    assert ("one" in done.err, "two" in done.err) == (True, True)


@pytest.mark.parametrize(("option", "value"), [("-f", "none/Dockerfile"), ("--context", "none")])
def test_a_dockerfile_or_context_that_does_not_exist_is_reported(
    localrun: Command, repository: Path, option: str, value: str
) -> None:
    done = localrun("run", repository / "tasks/a", option, value, *VALUES)
    assert done.code != 0
    assert value in done.err


def test_a_dockerfile_that_is_given_relative_to_the_bundle_is_suggested(
    localrun: Command, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repository)
    done = localrun("run", "tasks/a", "-f", "Dockerfile", *VALUES)
    assert "-f is relative to the current directory: `-f tasks/a/Dockerfile`" in " ".join(done.err.split())
    done = localrun("run", "tasks/a", "-f", "-", *VALUES)
    assert "it cannot be read from standard input" in " ".join(done.err.split())


def test_options_that_have_no_effect_are_reported(localrun: Command) -> None:
    done = localrun.run("--target", "last", "--build-arg", "A=1")
    assert f"--target and --build-arg are ignored: the image {IMAGE} is not built" in done.err


def test_a_secret_that_the_build_prints_is_masked(
    localrun: Command, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a build that prints its secret and fails with it
    monkeypatch.setenv("TOKEN", SECRET)

    def build_image(
        _engine: FakeEngine, _request: BuildRequest, progress: Progress = no_progress, _warn: object = None
    ) -> EngineImage:
        progress(f"RUN echo {SECRET}", 1, 2)
        raise ImageError(
            f"failed: {SECRET}", remedy=f"see {SECRET}", cause=Cause.IMAGE_BUILD_FAILED, engine_said=SECRET
        )

    monkeypatch.setattr(FakeEngine, "build_image", build_image)
    given = ("--context", repository, "--build-secret", "id=token,env=TOKEN", *VALUES)
    for json_option in ((), ("--json",)):
        done = localrun("run", repository / "tasks/a", *given, *json_option)
        assert done.code != 0
        assert "failed: ***" in done.out + done.err
        assert SECRET not in done.out + done.err
    home = localrun.folder / "home"
    assert not [path for path in home.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]


# -- repositories ----------------------------------------------------------------------------------


def test_the_root_of_a_repository_lists_its_tasks(localrun: Command, repository: Path) -> None:
    done = localrun("run", repository, *VALUES)
    assert done.code == 3
    text = " ".join(done.err.split())
    assert f"{repository} has no descriptor.yml, but 2 folders below it have one" in text
    for name in ("a", "b"):
        assert f"run `localrun run {repository}/tasks/{name}`" in text


def test_a_task_without_a_dockerfile_is_listed_with_that_of_the_root(
    localrun: Command, repository: Path
) -> None:
    (repository / "tasks/a/Dockerfile").rename(repository / "Dockerfile")
    done = localrun("validate", repository)
    text = " ".join((done.out + done.err).split())
    assert f"localrun run {repository}/tasks/a --context {repository}" in text


def test_a_root_is_not_judged_as_a_bundle(localrun: Command, repository: Path) -> None:
    done = localrun("validate", repository)
    assert done.code == 3
    assert f"{repository} has no descriptor.yml, but 2 folders below it have one" in " ".join(
        done.err.split()
    )
    assert "App Engine" not in done.out + done.err


def test_a_task_without_an_image_names_the_dockerfile_above_it(localrun: Command, repository: Path) -> None:
    task = repository / "tasks/a"
    (task / "Dockerfile").unlink()
    done = localrun("run", task, *VALUES)
    assert "add a Dockerfile; or add the image: docker save" in " ".join(done.err.split())
    (repository / "Containerfile").write_text("FROM scratch\n")
    done = localrun("run", task, *VALUES)
    hint = f"build it with {repository}/Containerfile: `--context {repository}`"
    assert hint in " ".join(done.err.split())
    assert localrun("run", task, "--context", repository, *VALUES).code == 0


def test_a_descriptor_with_another_name_is_suggested(localrun: Command) -> None:
    folder = localrun.folder / "renamed"
    folder.mkdir()
    (folder / "Dockerfile").write_text("FROM scratch\n")
    (folder / "task.yaml").write_text(DESCRIPTOR)
    done = localrun("run", folder, *VALUES)
    text = " ".join(done.err.split())
    assert "task.yaml: looks like a descriptor" in text
    assert f"localrun run {folder}/task.yaml" in text
    assert "descriptor.yml (or descriptor.yaml), as App Engine requires" in text
    assert localrun("run", folder / "task.yaml", *VALUES).code == 0


@pytest.mark.parametrize("name", ["Dockerfile", "dockerfile", "Containerfile"])
def test_the_names_of_docker_and_podman_are_found(localrun: Command, name: str) -> None:
    folder = localrun.folder / "named"
    folder.mkdir()
    (folder / "descriptor.yml").write_text(DESCRIPTOR)
    (folder / name).write_text("FROM scratch\n")
    assert localrun("run", folder, *VALUES).code == 0
    assert request(localrun).dockerfile == name


def test_dockerfile_comes_before_containerfile_and_the_other_is_reported(localrun: Command) -> None:
    folder = localrun.folder / "named"
    folder.mkdir()
    (folder / "descriptor.yml").write_text(DESCRIPTOR)
    for name in ("Dockerfile", "Containerfile"):
        (folder / name).write_text("FROM scratch\n")
    done = localrun("run", folder, *VALUES)
    assert request(localrun).dockerfile == "Dockerfile"
    assert "Containerfile is ignored because Dockerfile exists" in done.err
