"""Check whether an image can start: program, interpreter, user and mounted folders."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from localrun.bundle.images.load import USUAL_PLATFORM
from localrun.bundle.validation.files import PASSWD, ImageFile, ImageFiles, absolute_path
from localrun.bundle.validation.findings import Finding, error, refused, warning
from localrun.bundle.validation.image_config import ImageConfig
from localrun.descriptor import Descriptor
from localrun.engines.architectures import ALSO_RUNS

# machine field of the ELF header
_MACHINES = {3: "386", 40: "arm", 62: "amd64", 183: "arm64", 243: "riscv64", 21: "ppc64le", 22: "s390x"}
_INTERPRETERS = re.compile(r"(?:python|pypy|ruby|perl|node|php|Rscript|bash|sh|dash|ash|zsh)[0-9.]*")
_PROGRAM = "image.entrypoint"  # path of the findings about the program
_NO_CODE = ""  # App Engine reports no error: the run stays QUEUING forever


def check(image: ImageConfig, descriptor: Descriptor, files: ImageFiles) -> Iterator[Finding]:
    """Yield everything that prevents the program from starting or from using its folders."""
    yield from check_platform(image)
    if image.arguments:
        yield from _check_program(image, descriptor, files)
    yield from _check_user(image, files)
    for key in ("input_folder", "output_folder"):
        yield from _check_folder(f"configuration.{key}", getattr(descriptor, key), files)


def check_platform(image: ImageConfig) -> Iterator[Finding]:
    """Yield the findings that do not depend on the files of the image."""
    if image.architecture and not image.platform.startswith(USUAL_PLATFORM):
        yield warning(
            "image",
            f"the image is for {image.platform}; most cluster nodes are {USUAL_PLATFORM} and cannot run it",
            f"build it with: docker build --platform {USUAL_PLATFORM}",
        )
    if not image.arguments:
        message = "the image has neither ENTRYPOINT nor CMD, so there is no program to start"
        yield error("image", message, "add ENTRYPOINT to the Dockerfile")


def _check_program(image: ImageConfig, descriptor: Descriptor, files: ImageFiles) -> Iterator[Finding]:
    name = image.arguments[0]
    path = _find_in_path(name, image, files) if "/" not in name else absolute_path(name, image.workdir)
    if path is None:
        message = f"{name!r} is not in the image's PATH ({':'.join(image.search_path)})"
        remedy = "correct ENTRYPOINT or CMD in the Dockerfile, or install the program in the image"
        yield error(_PROGRAM, message, remedy)
        return
    yield from _check_executable(name, path, image, files)
    yield from _check_not_hidden(path, descriptor)
    yield from _check_script(image, descriptor, files)


def _find_in_path(name: str, image: ImageConfig, files: ImageFiles) -> str | None:
    for folder in image.search_path:
        path = absolute_path(name, folder)
        found = files.find(path)
        if found and found.kind == "file" and found.is_executable:
            return path
    return None


def _check_executable(name: str, path: str, image: ImageConfig, files: ImageFiles) -> Iterator[Finding]:
    file = files.find(path)
    if file is None:
        remedy = "correct ENTRYPOINT or CMD in the Dockerfile, or COPY the program into the image"
        yield error(_PROGRAM, f"the program {name!r} is not in the image", remedy)
    elif file.kind != "file":
        yield error(_PROGRAM, f"{name!r} is a folder, not a program", "use the path of the program in it")
    elif not file.is_executable:
        yield error(_PROGRAM, f"{name!r} is not executable", f"add to the Dockerfile: RUN chmod +x {path}")
    else:
        yield from _check_content(name, file, image, files)


def _check_content(name: str, file: ImageFile, image: ImageConfig, files: ImageFiles) -> Iterator[Finding]:
    if file.head.startswith(b"\x7fELF"):
        machine = machine_of(file.head)
        if (
            machine
            and image.architecture not in ("", machine)
            and ALSO_RUNS.get(image.architecture) != machine
        ):
            message = f"{name!r} is a program for {machine}, in an image for {image.architecture}"
            yield error(_PROGRAM, message, "build the program for the platform of the image")
    elif file.head.startswith(b"#!"):
        yield from _check_interpreter(name, file, image, files)
    elif b"\0" in file.head:
        yield error(_PROGRAM, f"{name!r} is neither a program nor a script", "use the path of the program")
    else:
        message = f"{name!r} is a script without an interpreter line; Docker's init runs it with /bin/sh,"
        message += " Kubernetes fails with 'exec format error'"
        yield refused(_PROGRAM, message, "start it with a line such as #!/bin/sh", _NO_CODE)


def machine_of(head: bytes) -> str:
    """Return the architecture of a program, given by its first bytes; empty if it is not known."""
    order = "big" if head[5:6] == b"\x02" else "little"
    return _MACHINES.get(int.from_bytes(head[18:20], order), "")  # type: ignore[arg-type]


def _check_interpreter(
    name: str, file: ImageFile, image: ImageConfig, files: ImageFiles
) -> Iterator[Finding]:
    line = file.head[2:].split(b"\n", 1)[0].decode("utf-8", "replace")
    if line.endswith("\r"):
        message = f"the first line of {name!r} ends with a carriage return, so its interpreter is not found"
        yield error(_PROGRAM, message, "save it with Unix line endings")
        return
    words = line.split()
    if not words or files.find(absolute_path(words[0])) is None:
        interpreter = words[0] if words else "(empty)"
        message = f"the interpreter {interpreter} of {name!r} is not in the image"
        yield error(_PROGRAM, message, "correct its first line, or install the interpreter")
    elif posixpath.basename(words[0]) == "env":
        wanted = next((word for word in words[1:] if not word.startswith("-") and "=" not in word), "")
        if "/" not in wanted and _find_in_path(wanted, image, files) is None:
            message = f"the interpreter {wanted!r} of {name!r} is not in the image's PATH"
            yield error(_PROGRAM, message, "correct its first line, or install the interpreter")


def _check_script(image: ImageConfig, descriptor: Descriptor, files: ImageFiles) -> Iterator[Finding]:
    """Check the script that is passed to an interpreter."""
    program, *rest = image.arguments
    if not _INTERPRETERS.fullmatch(posixpath.basename(program)) or not rest or rest[0].startswith("-"):
        return
    path = absolute_path(rest[0], image.workdir)
    if files.find(path) is None:
        remedy = "correct ENTRYPOINT or CMD in the Dockerfile, or COPY the file into the image"
        yield error(_PROGRAM, f"the script {rest[0]!r} for {program} is not in the image", remedy)
    yield from _check_not_hidden(path, descriptor)


def _check_not_hidden(path: str, descriptor: Descriptor) -> Iterator[Finding]:
    for key in ("input_folder", "output_folder"):
        folder = getattr(descriptor, key)
        if path.startswith(f"{folder}/"):
            message = f"{path} is hidden: an empty folder is mounted over {folder}"
            yield error(f"configuration.{key}", message, "move the program, or choose another folder")


def _check_user(image: ImageConfig, files: ImageFiles) -> Iterator[Finding]:
    user = image.user.partition(":")[0]
    if not user or user.isdigit() or user == "root":
        return
    passwd = files.find(f"/{PASSWD}")
    lines = passwd.head.decode("utf-8", "replace").splitlines() if passwd else []
    if not any(line.startswith(f"{user}:") for line in lines):
        message = f"the USER {user!r} of the image is not in its /{PASSWD}"
        remedy = f"add to the Dockerfile: RUN adduser -D {user} (or useradd {user}), or use a numeric user id"
        yield error("image.user", message, remedy)


def _check_folder(key: str, folder: str, files: ImageFiles) -> Iterator[Finding]:
    paths = [folder, *map(str, PurePosixPath(folder).parents[:-1])]
    blocked = next((path for path in paths if (found := files.find(path)) and found.kind != "folder"), None)
    if blocked:
        message = f"{blocked} is a file in the image, so {folder} cannot be mounted"
        yield error(key, message, "choose another folder")
    elif files.has_entries(folder):
        message = f"the files of the image in {folder} are hidden: a folder of the task is mounted there"
        yield warning(key, message, "move the files that the program needs")
