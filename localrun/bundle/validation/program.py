"""Will the image start? Its program and what that asks for, its user, and the folders mounted over it."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from itertools import chain

from localrun.bundle.validation.files import PASSWD, ImageFile, ImageFiles, absolute_path
from localrun.bundle.validation.findings import Finding, error, refused, warning
from localrun.bundle.validation.image_config import ImageConfig
from localrun.descriptor import Descriptor

# of the header of an ELF file: the machine that it is for
_MACHINES = {3: "386", 40: "arm", 62: "amd64", 183: "arm64", 243: "riscv64", 21: "ppc64le", 22: "s390x"}
_ALSO_RUNS = {("amd64", "386"), ("arm64", "arm")}
_INTERPRETERS = re.compile(r"(?:python|pypy|ruby|perl|node|php|Rscript|bash|sh|dash|ash|zsh)[0-9.]*")
_USUAL = "linux/amd64"
_RUNS_NEVER = ""  # App Engine answers nothing: the run stays QUEUING for ever


def check(image: ImageConfig, descriptor: Descriptor, files: ImageFiles) -> Iterator[Finding]:
    """Everything that keeps the image's program from starting, or from finding its folders."""
    yield from _platform(image)
    yield from _program(image, descriptor, files)
    yield from _user(image, files)
    for key in ("input_folder", "output_folder"):
        yield from _folder(f"configuration.{key}", getattr(descriptor, key), files)


def check_platform(image: ImageConfig) -> Iterator[Finding]:
    """What can be said of an image whose files cannot be looked into."""
    yield from _platform(image)
    if not image.arguments:
        yield _no_program()


def _platform(image: ImageConfig) -> Iterator[Finding]:
    if image.architecture and not image.platform.startswith(_USUAL):
        yield warning(
            "image",
            f"it is for {image.platform}; the nodes of most clusters are {_USUAL} and could not start it",
            f"build it with: docker build --platform {_USUAL}",
        )


def _no_program() -> Finding:
    remedy = "add ENTRYPOINT to the Dockerfile"
    return error("image", "it has neither ENTRYPOINT nor CMD, so there is nothing to start", remedy)


def _program(image: ImageConfig, descriptor: Descriptor, files: ImageFiles) -> Iterator[Finding]:
    if not image.arguments:
        yield _no_program()
        return
    name = image.arguments[0]
    path = _searched(name, image, files) if "/" not in name else absolute_path(name, image.workdir)
    if path is None:
        yield error(
            "image.entrypoint",
            f"there is no {name!r} in any folder of its PATH ({':'.join(image.search_path)})",
            "correct ENTRYPOINT or CMD in the Dockerfile, or install the program in the image",
        )
        return
    yield from _startable(name, path, image, files)
    yield from _hidden(path, descriptor)
    yield from _script(image, descriptor, files)


def _searched(name: str, image: ImageConfig, files: ImageFiles) -> str | None:
    """The path of a program that is named without a folder."""
    for folder in image.search_path:
        path = absolute_path(name, folder)
        found = files.find(path)
        if found and found.kind == "file" and found.is_executable:
            return path
    return None


def _startable(name: str, path: str, image: ImageConfig, files: ImageFiles) -> Iterator[Finding]:
    file = files.find(path)
    place = "image.entrypoint"
    if file is None:
        remedy = "correct ENTRYPOINT or CMD in the Dockerfile, or COPY the program into the image"
        yield error(place, f"the program {name!r} is not in the image", remedy)
    elif file.kind != "file":
        yield error(place, f"{name!r} is a folder, not a program", "name the program in it")
    elif not file.is_executable:
        yield error(place, f"{name!r} is not executable", f"add to the Dockerfile: RUN chmod +x {path}")
    else:
        yield from _content(name, file, image, files)


def _content(name: str, file: ImageFile, image: ImageConfig, files: ImageFiles) -> Iterator[Finding]:
    place = "image.entrypoint"
    if file.head.startswith(b"\x7fELF"):
        machine = _machine(file.head)
        if machine and image.architecture and not _runs(image.architecture, machine):
            message = f"{name!r} is a program for {machine}, in an image for {image.architecture}"
            yield error(place, message, "build the program for the platform of the image")
    elif file.head.startswith(b"#!"):
        yield from _interpreter(name, file, image, files)
    elif b"\0" in file.head:
        yield error(place, f"{name!r} is neither a program nor a script", "name the program itself")
    else:
        yield refused(
            place,
            f"{name!r} is a script whose first line names no interpreter; Docker's init hands such a"
            " script to /bin/sh, Kubernetes does not and fails with 'exec format error'",
            "begin it with a line such as #!/bin/sh",
            _RUNS_NEVER,
        )


def _machine(head: bytes) -> str:
    order = "big" if head[5:6] == b"\x02" else "little"
    return _MACHINES.get(int.from_bytes(head[18:20], order), "")  # type: ignore[arg-type]


def _runs(machine: str, program: str) -> bool:
    return machine == program or (machine, program) in _ALSO_RUNS


def _interpreter(name: str, file: ImageFile, image: ImageConfig, files: ImageFiles) -> Iterator[Finding]:
    line = file.head[2:].split(b"\n", 1)[0].decode("utf-8", "replace")
    place = "image.entrypoint"
    if line.endswith("\r"):
        message = f"the first line of {name!r} ends with a carriage return, so its interpreter is not found"
        yield error(place, message, "save it with Unix line ends")
        return
    words = line.split()
    if not words or files.find(absolute_path(words[0])) is None:
        said = words[0] if words else "nothing"
        message = f"{name!r} asks for the interpreter {said}, which is not in the image"
        yield error(place, message, "correct its first line, or install the interpreter")
    elif posixpath.basename(words[0]) == "env":
        wanted = next((word for word in words[1:] if not word.startswith("-") and "=" not in word), "")
        if "/" not in wanted and _searched(wanted, image, files) is None:
            message = (
                f"{name!r} asks for the interpreter {wanted!r}, which is in no folder of the image's PATH"
            )
            yield error(place, message, "correct its first line, or install the interpreter")


def _script(image: ImageConfig, descriptor: Descriptor, files: ImageFiles) -> Iterator[Finding]:
    """The file that an interpreter is told to run."""
    program, *rest = image.arguments
    if not _INTERPRETERS.fullmatch(posixpath.basename(program)) or not rest or rest[0].startswith("-"):
        return
    path = absolute_path(rest[0], image.workdir)
    if files.find(path) is None:
        yield error(
            "image.entrypoint",
            f"{program} is told to run {rest[0]!r}, which is not in the image",
            "correct ENTRYPOINT or CMD in the Dockerfile, or COPY the file into the image",
        )
    yield from _hidden(path, descriptor)


def _hidden(path: str, descriptor: Descriptor) -> Iterator[Finding]:
    for key in ("input_folder", "output_folder"):
        folder = getattr(descriptor, key)
        if path.startswith(f"{folder}/"):
            yield error(
                f"configuration.{key}",
                f"{path}, which is to be started, is below {folder}, over which an empty folder is mounted",
                "put the program elsewhere, or choose another folder",
            )


def _user(image: ImageConfig, files: ImageFiles) -> Iterator[Finding]:
    user = image.user.partition(":")[0]
    if not user or user.isdigit() or user == "root":
        return
    passwd = files.find(f"/{PASSWD}")
    lines = passwd.head.decode("utf-8", "replace").splitlines() if passwd else []
    if not any(line.startswith(f"{user}:") for line in lines):
        yield error(
            "image.user",
            f"the image's USER {user!r} is not in its /{PASSWD}",
            f"add to the Dockerfile: RUN adduser -D {user} (or useradd {user}), or name the user by number",
        )


def _folder(place: str, folder: str, files: ImageFiles) -> Iterator[Finding]:
    ways = chain([folder], _parents(folder))
    blocked = next((way for way in ways if (found := files.find(way)) and found.kind != "folder"), None)
    if blocked:
        message = f"{blocked} is a file in the image, so {folder} cannot be mounted"
        yield error(place, message, "choose another folder")
    elif files.has_entries(folder):
        message = f"what the image has in {folder} will be hidden: a folder of the run is mounted over it"
        yield warning(place, message, "put what the program needs elsewhere")


def _parents(path: str) -> Iterator[str]:
    while (path := posixpath.dirname(path)) != "/":
        yield path
