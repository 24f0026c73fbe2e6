"""The Dockerfile of a build as it is sent: with the images that the user gave instead of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import msgspec

from localrun import fs
from localrun.engines.base import IMAGE_CONTEXT, BuildRequest
from localrun.engines.dockerfile import Dockerfile, Instruction, Stage, arguments, expand
from localrun.errors import Cause, ImageError

# the arguments and secrets that builders use without a declaration
_PREDEFINED = re.compile(
    r"(?:HTTPS?|FTP|NO|ALL)_PROXY|(?:https?|ftp|no|all)_proxy|BUILDKIT_\w+|SOURCE_DATE_EPOCH"
    r"|(?:GIT|HTTP)_AUTH_\S+"
)
_ARGUMENT = re.compile(r"\$\{?(\w+)\}?")


class PreparedDockerfile(msgspec.Struct, frozen=True):
    """A Dockerfile to send. `name` is for messages. `arguments` are the values of the ARGs before FROM."""

    name: str
    text: str
    parsed: Dockerfile
    arguments: Mapping[str, str]
    replacement: bytes | None = None  # the text to send if it is not the content of the file
    unused: tuple[str, ...] = ()  # the names of `contexts` that the Dockerfile does not use

    def images(self, target: str = "") -> list[str]:
        """Return the names of all images that the build of `target` starts from or copies from."""
        stages = {stage.name for stage in self.parsed.stages} | {
            str(each.index) for each in self.parsed.stages
        }
        found: list[str] = []
        for stage in self.parsed.needed_stages(target):
            for name in (expand(stage.base, self.arguments), *_copied_from(stage)):
                if name.lower() not in stages and name not in ("", "scratch", *found):
                    found.append(name)
        return found

    def instruction_with(self, image: str) -> Instruction | None:
        """Return the first instruction that starts from, or copies from, this image."""
        for instruction in self.parsed.instructions:
            for written in _names(instruction):
                name = familiar(expand(written, self.arguments))
                if image == written or familiar(image) == name:
                    return instruction
        return None

    def argument_of(self, image: str) -> str:
        """Return the argument that is the whole name of this image in a FROM, or ''."""
        for stage in self.parsed.stages:
            name = _ARGUMENT.fullmatch(stage.base)
            if name and familiar(expand(stage.base, self.arguments)) == familiar(image):
                return name[1]
        return ""

    def without_line(self, number: int) -> PreparedDockerfile:
        """Return it with an empty comment instead of a line; the numbers of the other lines stay."""
        lines = self.text.splitlines(keepends=True)
        lines[number - 1] = "#\n"
        return msgspec.structs.replace(self, text="".join(lines))


def prepare(request: BuildRequest) -> PreparedDockerfile:
    """Read the Dockerfile and replace images by `contexts`. Raises `ImageError` if it cannot be read."""
    path = request.dockerfile_path
    try:
        text = fs.read_regular(path).decode("utf-8", "surrogateescape")
    except OSError as error:
        missing = isinstance(error, FileNotFoundError | NotADirectoryError)
        reason = f"{path} does not exist" if missing else f"cannot read {path}: {error.strerror}"
        raise ImageError(
            f"cannot build {request.folder}: {reason}",
            remedy="add the file, select another one with `-f FILE`, or pass an image with --image",
            cause=Cause.IMAGE_BUILD_FAILED,
            folder=str(request.folder),
        ) from error
    parsed = Dockerfile(text)
    values = arguments(parsed, request.build_args)
    replaced, unused = _replace_images(parsed, text, request.contexts, values)
    replacement = replaced.encode("utf-8", "surrogateescape") if replaced != text else None
    return PreparedDockerfile(path.name, replaced, parsed, values, replacement, unused)


def unused_options(request: BuildRequest, prepared: PreparedDockerfile) -> Iterator[str]:
    """Yield the contexts, arguments and secrets of a build that the Dockerfile does not mention."""
    yield from (f"--build-context {name}" for name in prepared.unused)
    instructions = [each.trigger or each for each in prepared.parsed.instructions]
    declared = {
        word.partition("=")[0] for each in instructions if each.name == "ARG" for word in each.text.split()
    }
    for name in request.build_args:
        if name not in declared and not _PREDEFINED.fullmatch(name):
            yield f"--build-arg {name}"
    mounted = {name for each in instructions for name in each.secrets}
    for secret in request.secrets:
        if secret.id not in mounted and not _PREDEFINED.fullmatch(secret.id):
            yield f"--build-secret {secret.id}"


def familiar(reference: str) -> str:
    """Return an image name as docker shows it, with its tag: without `docker.io/` and `library/`."""
    name = reference.removeprefix("index.").removeprefix("docker.io/").removeprefix("library/")
    return name if "@" in name or ":" in name.rpartition("/")[2] else f"{name}:latest"


def _replace_images(
    parsed: Dockerfile, text: str, contexts: Mapping[str, str], values: Mapping[str, str]
) -> tuple[str, tuple[str, ...]]:
    if not contexts:
        return text, ()
    known = {familiar(name): source.removeprefix(IMAGE_CONTEXT) for name, source in contexts.items()}
    used: set[str] = set()
    lines = text.splitlines(keepends=True)
    starts = [each.line - 1 for each in parsed.instructions] + [len(lines)]
    for instruction, start, end in zip(parsed.instructions, starts, starts[1:], strict=False):
        for written in _names(instruction):
            name = familiar(expand(written, values) if instruction.name == "FROM" else written)
            if name in known:
                used.add(name)
                _replace_word(lines, range(start, end), written, known[name])
    return "".join(lines), tuple(name for name in contexts if familiar(name) not in used)


def _replace_word(lines: list[str], span: range, word: str, by: str) -> None:
    """Replace the first occurrence of a word in these lines."""
    pattern = re.compile(rf"(?<![\w./:@${{-]){re.escape(word)}(?![\w./:@}}-])")
    for number in span:
        changed, count = pattern.subn(by.replace("\\", r"\\"), lines[number], count=1)
        if count:
            lines[number] = changed
            return


def _names(instruction: Instruction) -> Iterator[str]:
    """Yield the names of images or stages as they are written."""
    if instruction.name == "FROM":
        yield from instruction.text.split()[:1]
    yield from instruction.sources


def _copied_from(stage: Stage) -> Iterator[str]:
    for instruction in stage.instructions:
        yield from instruction.sources
