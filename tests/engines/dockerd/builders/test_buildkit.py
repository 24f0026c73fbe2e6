"""Builds with BuildKit: the same image as `docker buildx build`, on the engine of localrun."""

from __future__ import annotations

import errno
import os
import secrets
import tempfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from localrun.engines.base import BuildRequest, BuildSecret, ContainerSpec
from localrun.engines.dockerd import DockerEngine
from localrun.engines.dockerd.builders import buildkit, clients
from localrun.errors import Cause, EngineError, ImageError

pytestmark = pytest.mark.docker


@dataclass
class Context:
    """A folder to build with BuildKit."""

    engine: DockerEngine
    folder: Path
    base: str
    name: str = field(default_factory=lambda: f"localrun-test/{secrets.token_hex(6)}:1")
    steps: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def build(self, text: str, files: Mapping[str, str] | None = None, **options: Any) -> str:
        """Build, and return the output of `cat /out` in the image."""
        for name, content in {"Dockerfile": text, **(files or {})}.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content.replace("BASE", self.base))
        request = BuildRequest(self.folder, self.name, **options)
        self.engine.build_image(request, lambda what, *_: self.steps.append(what), self.warnings.append)
        return self.output("cat", "/out")

    def output(self, *command: str) -> str:
        spec = ContainerSpec(image=self.name, name=f"localrun-test-{secrets.token_hex(4)}", command=command)
        handle = self.engine.create(spec)
        try:
            self.engine.start(handle)
            self.engine.wait(handle)  # a log that is followed may miss the output of a short program
            return b"".join(data for _, data in self.engine.logs(handle, follow=False)).decode()
        finally:
            self.engine.remove(handle)

    def refused(self, dockerfile: str, **options: Any) -> ImageError:
        with pytest.raises(ImageError) as raised:
            self.build(dockerfile, **options)
        assert raised.value.cause is Cause.IMAGE_BUILD_FAILED
        return raised.value


@pytest.fixture
def context(buildkit_engine: DockerEngine, busybox: str, tmp_path: Path) -> Iterator[Context]:
    folder = tmp_path / "context"
    folder.mkdir()
    made = Context(buildkit_engine, folder, busybox)
    yield made
    buildkit_engine.remove_image(made.name)


def test_mounts_platform_arguments_and_targets_work(context: Context) -> None:
    # Given a Dockerfile as public tasks have it
    dockerfile = """\
FROM BASE AS unused
RUN exit 1
FROM --platform=$BUILDPLATFORM BASE AS tools
ARG TARGETARCH
RUN --mount=type=cache,target=/c --mount=type=bind,source=locked,target=/l \\
    { echo $TARGETARCH; cat /l; } > /out
FROM tools AS last
RUN exit 1
"""
    # When one of its stages is built
    output = context.build(dockerfile, {"locked": "1.0\n"}, target="tools", labels={"a": context.name})

    # Then it is what docker build makes of it, and the steps were shown
    assert output == f"{context.engine.info().architecture}\n1.0\n"
    assert context.engine.images({"a": context.name})[0].tags == (context.name,)
    assert any(step.startswith("[tools 2/2] RUN --mount") for step in context.steps)
    assert any(step.endswith(" s)") for step in context.steps)


def test_secrets_reach_the_build_and_not_the_image(
    context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_TOKEN", "from-variable")
    (tmp_path / "a, b").write_text("from-file")
    output = context.build(
        "FROM BASE\nRUN --mount=type=secret,id=a --mount=type=secret,id=b cat /run/secrets/* | wc -c >/out\n",
        secrets=(BuildSecret("a", variable="A_TOKEN"), BuildSecret("b", file=tmp_path / "a, b")),
    )
    assert output.strip() == str(len("from-variable") + len("from-file"))
    archive = b"".join(context.engine.save_image(context.name))
    assert b"from-" not in archive


def test_a_missing_secret_is_reported_with_its_option(context: Context) -> None:
    error = context.refused("FROM BASE\nRUN --mount=type=secret,id=tok,required cat /run/secrets/tok\n")
    assert error.remedy == "pass the secret: `--build-secret id=tok,src=FILE`"


def test_the_ignore_file_of_the_dockerfile_applies_and_the_users_folder_is_unchanged(
    context: Context,
) -> None:
    files = {"secret": "x", "kept": "x", ".git/HEAD": "x", "Dockerfile.dockerignore": "secret\n"}
    output = context.build("FROM BASE\nCOPY . /all\nRUN find /all -type f | sort > /out\n", files)
    assert output.split() == ["/all/Dockerfile", "/all/Dockerfile.dockerignore", "/all/kept"]
    assert {path.name for path in context.folder.iterdir()} == {
        "Dockerfile",
        "Dockerfile.dockerignore",
        *("secret", "kept", ".git"),
    }


def test_a_dockerfile_outside_of_the_context_is_used(context: Context, tmp_path: Path) -> None:
    path = tmp_path / "docker" / "task.Dockerfile"
    path.parent.mkdir()
    path.write_text(f"FROM {context.base}\nCOPY data /out\n")
    (tmp_path / "docker" / "task.Dockerfile.dockerignore").write_text("other\n")
    assert context.build("FROM nothing\n", {"data": "here"}, dockerfile=str(path)) == "here"


def test_only_changed_files_are_sent_again(context: Context) -> None:
    large = "x" * 3_000_000
    context.build("FROM BASE\nCOPY . /all\nRUN cat /all/small > /out\n", {"large": large, "small": "1"})
    assert any(step == "sending the context" for step in context.steps)
    sent: list[int] = []

    def progress(what: str, done: int, _total: int | None) -> None:
        if what == "sending the context":
            sent.append(done)

    (context.folder / "small").write_text("2")
    context.engine.build_image(BuildRequest(context.folder, context.name), progress)
    assert context.output("cat", "/out") == "2"
    assert max(sent) < 1_000_000


def test_a_failed_step_is_reported_with_its_line_log_and_exit_code(context: Context) -> None:
    error = context.refused("FROM BASE\nRUN echo first\nRUN echo made it this far; exit 3\n")
    assert error.message.startswith(
        "the build failed at `RUN echo made it this far; exit 3` (Dockerfile:3): "
    )
    assert error.message.endswith("\n    made it this far")
    assert "first" not in error.message
    assert (error.facts["instruction"], error.facts["exit_code"]) == (
        "RUN echo made it this far; exit 3",
        3,
    )


def test_a_missing_base_image_is_replaced_as_the_remedy_says(context: Context) -> None:
    dockerfile = "FROM localhost:1/lab/none:1 AS a\nRUN echo ok > /out\n"
    error = context.refused(dockerfile)
    option = "localhost:1/lab/none:1=docker-image://"
    assert f"`--build-context {option}LOCAL`" in error.remedy
    assert "(Dockerfile:1)" in error.message
    name, _, source = f"{option}{context.base}".partition("=")
    assert context.build(dockerfile, contexts={name: source}) == "ok\n"


def test_a_build_that_is_cancelled_leaves_no_image_and_no_process(context: Context) -> None:
    (context.folder / "Dockerfile").write_text(f"FROM {context.base}\nRUN echo {context.name}; sleep 300\n")
    started, raised = threading.Event(), []

    def progress(what: str, _done: int, _total: int | None) -> None:
        if "sleep 300" in what:
            started.set()

    def build() -> None:
        try:
            context.engine.build_image(BuildRequest(context.folder, context.name), progress)
        except EngineError as error:
            raised.append(error.message)

    thread = threading.Thread(target=build)
    thread.start()
    assert started.wait(60)
    assert thread.ident is not None
    context.engine.abandon(thread.ident)
    thread.join(60)
    assert raised == ["the build was aborted"]
    assert context.engine.find_image(context.name) is None
    commands = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert not any(context.name.encode() in command and b"docker-buildx" in command for command in commands)


def test_a_name_that_moves_to_a_new_build_leaves_no_image_without_a_name(context: Context) -> None:
    context.build("FROM BASE\nRUN echo 1 > /out\n")
    first = context.engine.require_image(context.name).id
    context.build("FROM BASE\nRUN echo 2 > /out\n")
    assert context.engine.find_image(first) is None


def test_a_syntax_line_out_of_reach_is_reported_before_the_build(context: Context) -> None:
    text = "# syntax=localhost:1/docker/dockerfile:1\nFROM BASE\nRUN echo ok > /out\n"
    with pytest.raises(ImageError, match="Dockerfile:1: `# syntax=localhost:1/docker/dockerfile:1` needs"):
        context.build(text)
    assert context.steps == []  # before the build


def test_features_that_the_engine_is_too_old_for_name_the_version(context: Context) -> None:
    version = tuple(int(part) for part in context.engine.info().version.split(".")[:2])
    text = "FROM BASE\nRUN <<EOF\necho ok > /out\nEOF\n"
    if version >= (23, 0):
        assert context.build(text) == "ok\n"
        return
    error = context.refused(text)
    assert error.remedy.startswith("a here-document (line 2): use Docker 23.0 or newer (this is 20.10")


@pytest.mark.parametrize(
    ("code", "cause"), [(errno.ENOSPC, Cause.DISK_FULL), (errno.EACCES, Cause.IMAGE_BUILD_FAILED)]
)
def test_a_folder_for_temporary_files_that_cannot_be_written_is_named(
    context: Context, monkeypatch: pytest.MonkeyPatch, code: int, cause: Cause
) -> None:
    def fail(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(buildkit, "_write_dockerfile", fail)
    with pytest.raises(ImageError, match=f"cannot write to the disk of {tempfile.gettempdir()}: ") as raised:
        context.build("FROM BASE\n")
    assert (raised.value.cause, "TMPDIR" in raised.value.remedy) == (cause, True)
    assert list(Path(tempfile.gettempdir()).glob(f".{buildkit.TEMPORARY}.{os.getpid()}-*")) == []

    # none of the folders that Python looks for
    monkeypatch.setattr(tempfile, "gettempdir", fail)
    with pytest.raises(ImageError, match="cannot write to the disk of temporary files: "):
        context.build("FROM BASE\n")


def test_a_client_that_does_not_start_is_reported(docker_engine: DockerEngine, tmp_path: Path) -> None:
    if docker_engine.info().name == "podman":
        pytest.skip("Podman builds with its own builder, without a client")
    plugin = tmp_path / "cli-plugins" / "docker-buildx"
    plugin.parent.mkdir()
    plugin.write_text("#!/nowhere\n")
    plugin.chmod(0o755)
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    engine = DockerEngine(docker_engine.address.url, config=tmp_path)
    try:
        with pytest.raises(ImageError) as raised:
            engine.build_image(BuildRequest(tmp_path, "localrun-test/none:1"))
        assert "/nowhere" in raised.value.message or "docker-buildx" in raised.value.message
    finally:
        engine.close()


def test_a_docker_command_with_buildkit_inside_builds_too(
    context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a machine without the plugin, whose docker command has BuildKit inside
    monkeypatch.setattr(clients, "SYSTEM_PLUGINS", ())
    for folder in os.environ["PATH"].split(":"):
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        engine = DockerEngine(context.engine.address.url, config=tmp_path / "config")
        if engine.builder_info().kind == "cli":
            break
        engine.close()
    else:
        pytest.skip("no docker command older than 23.0 in PATH")

    # When it builds what the classic builder cannot
    context.engine = engine
    text = (
        "FROM BASE\nARG TARGETOS\nRUN --mount=type=secret,id=a echo $TARGETOS $(cat /run/secrets/a) >/out\n"
    )
    (tmp_path / "secret").write_text("hush")
    try:
        assert context.build(text, secrets=(BuildSecret("a", file=tmp_path / "secret"),)) == "linux hush\n"
    finally:
        engine.close()
