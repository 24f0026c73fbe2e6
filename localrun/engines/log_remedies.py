"""Remedies for what an image lacks, from the log of a build or of a program."""

from __future__ import annotations

import re
import shlex
from collections import deque
from collections.abc import Iterator

# imported names of Python packages that are called differently on PyPI
DISTRIBUTIONS = {
    "Bio": "biopython",
    "PIL": "pillow",
    "cv2": "opencv-python-headless",
    "dateutil": "python-dateutil",
    "google": "protobuf",
    "openslide": "openslide-python",
    "pkg_resources": "setuptools",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}
# libraries whose Debian package is not called after the file, such as libexpat1 after libexpat.so.1
_DEBIAN = {
    "libGL.so.1": "libgl1",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libgthread-2.0.so.0": "libglib2.0-0",
    "libjpeg.so.62": "libjpeg62-turbo",
    "libpng16.so.16": "libpng16-16",
    "libz.so.1": "zlib1g",
}
_MODULE = re.compile(r"(?:ModuleNotFoundError|ImportError): No module named '?(?P<name>[\w.]+)'?")
_LIBRARY = re.compile(
    r"(?P<name>lib[\w+.-]*?\.so[\d.]*): cannot open shared object file"
    r"|Error loading shared library (?P<musl>lib[\w+.-]*?\.so[\d.]*): No such file"
)
_TOOL = re.compile(
    r"(?m)^.*?\b(?:ba|da)?sh: (?:(?:line )?\d+: )?(?P<name>[\w.+/-]+): (?:command )?not found\s*$"
    r'|exec: "(?P<exec>[\w.+/-]+)": executable file not found in \$PATH'
)
_OFFLINE = re.compile(
    r"temporary failure (?:in name resolution|resolving)|could not resolve|no such host|no address associated"
    r"|network is unreachable|name or service not known|getaddrinfo|eai_again|\benotfound|dns error"
    r"|failed to (?:establish a new connection|lookup address)|unable to resolve host|could not connect"
    r"|connection (?:refused|timed out|reset)|connect(?:ion)? timeout|could not fetch url|dns lookup"
    r"|temporary error \(try again later\)|error sending request|dial tcp|i/o timeout|network error"
    r"|bad address",
    re.IGNORECASE,
)
_UNTRUSTED = re.compile(r"certificate_verify_failed|certificate verify failed|self.signed certificate", re.I)
_NOT_PULLED = re.compile(
    r"pull access denied|manifest (?:for|unknown)|repository does not exist|no such image|lookup "
    r"|invalid from flag value|failed to resolve source metadata|unauthorized|denied",
    re.IGNORECASE,
)
_FROM_IMAGE = re.compile(r"(?:--from=|[,=]from=)(?P<name>[^\s,]+)")
_MISSING_FILE = re.compile(
    r'"/?(?P<name>[^"]+)"(?:: | )not found'
    r"|file not found in build context or excluded by \.dockerignore: stat (?P<stat>[^:]+):"
)
_MISSING_WHEEL = re.compile(r"No matching distribution found for (?P<name>[\w.-]+)")
_DEBIAN_PACKAGE = re.compile(r"Unable to locate package (?P<name>\S+)")
_TOOLS = {
    "pip": (
        "use a base image with pip, such as python:3.12-slim; without a registry, `samples/base/make.sh` of"
        " localrun makes localrun-base/python"
    ),
    "apt-get": (
        "use a base image with apt-get, such as python:3.12-slim, or `apk add` in one made from Alpine; for"
        " localrun-base/python, pass the packages to `samples/base/make.sh PACKAGE...`"
    ),
    "apk": "only images made from Alpine have apk: use `apt-get install`, or another base image",
    "uv": "copy it into the image: `COPY --from=ghcr.io/astral-sh/uv:latest /uv /bin/`",
}
_TOOLS |= {"pip3": _TOOLS["pip"], "apt": _TOOLS["apt-get"]}
_DOWNLOAD = "download the files before the build and COPY them"
# (command, what it installs if the instruction does not say, how it works without a network)
_OFFLINE_WAYS = (
    (
        r"(?:pip3?|uv|poetry|pdm)",
        "-r requirements.txt",
        "install from wheels: `pip download -d wheels {0}` where there is a network, then `COPY wheels"
        " /wheels` and `RUN pip install --no-index --find-links /wheels {0}`",
    ),
    (
        r"apt(?:-get)?",
        "PACKAGE...",
        "use a base image that has the packages: `samples/base/make.sh {0}`",
    ),
    (
        r"apk",
        "PACKAGE...",
        "run `apk fetch -R {0}` where there is a network, COPY the files, and `RUN apk add"
        " --no-network *.apk`",
    ),
    (
        r"(?:npm|yarn|pnpm)",
        "",
        "run `npm ci` where there is a network, and COPY node_modules",
    ),
    (
        r"(?:conda|mamba|micromamba)",
        "",
        "pack the environment with `conda-pack` where there is a network, and COPY it",
    ),
)
_NO_PACKAGES = (
    "-c",
    "-t",
    "-i",
    "-f",
    "--find-links",
    "--index-url",
    "--extra-index-url",
    "--target",
    "--prefix",
)


def program_remedy(log: str) -> str:
    """Return a remedy for a Python module, library or command that a program lacks, or ''."""
    return next(filter(None, (rule(log) for rule in (_module, _library, _missing_tool))), "")


def build_remedy(instruction: str, log: str) -> str:
    """Return a remedy for a failed instruction of a Dockerfile from the end of the build's log, or ''."""
    rules = (_unavailable_image, _run_failed, _add_failed, _unknown_package, _missing_file)
    return next(filter(None, (rule(instruction, log) for rule in rules)), "") or program_remedy(log)


def _last(pattern: re.Pattern[str], log: str) -> re.Match[str] | None:
    return next(iter(deque(pattern.finditer(log), maxlen=1)), None)


def _module(log: str) -> str:
    found = _last(_MODULE, log)
    if found is None:
        return ""
    name = found["name"].split(".")[0]
    package = DISTRIBUTIONS.get(name, name)
    install = f"pip install {package}"
    return (
        f"add `RUN {install}` to the Dockerfile; without a network, {_offline_way(install)};"
        f" if {name!r} is a file of yours, COPY it next to the program"
    )


def _library(log: str) -> str:
    found = _last(_LIBRARY, log)
    if found is None:
        return ""
    if found["musl"]:
        return f"add `RUN apk add {found['musl'].partition('.so')[0]}` to the Dockerfile"
    name = found["name"]
    if re.match(r"lib(?:cuda|nvidia)", name):
        return (
            f"{name} belongs to the GPU driver: pass `--gpus 1` on a machine with a GPU, or use a CPU build"
        )
    package = _debian_package(name)
    return (
        f"add `RUN apt-get update && apt-get install -y {package}` to the Dockerfile; without a network, use"
        f" a base image that has the package: `samples/base/make.sh {package}`"
    )


def _debian_package(library: str) -> str:
    """Return the probable Debian package: libfoo.so.1 is in libfoo1, libfoo2.so.1 in libfoo2-1."""
    name, _, version = library.partition(".so")
    number = version.lstrip(".").split(".")[0]
    joined = f"{name}-{number}" if name[-1].isdigit() and number else name + number
    return _DEBIAN.get(library, joined.lower().replace("_", "-"))


def _missing_tool(log: str) -> str:
    found = _last(_TOOL, log)
    if found is None:
        return ""
    name = found["name"] or found["exec"]
    return _TOOLS.get(name, f"install {name!r} in the image, or use a base image that has it")


def _unavailable_image(instruction: str, log: str) -> str:
    found = _FROM_IMAGE.search(instruction)
    if found is None or not (_OFFLINE.search(log) or _NOT_PULLED.search(log)):
        return ""
    name = found["name"]
    if _is_run(instruction) and name not in log:  # the command failed, not the mount
        return ""
    stage = "" if re.search(r"[/:.]", name) else f"correct the name of the stage {name!r}; or "
    return (
        f"{stage}the image {name!r} is missing and cannot be pulled: go online, import it with `docker load"
        f" -i FILE`, or replace it with a local one: `--build-context {name}=docker-image://NAME`"
    )


def _is_run(instruction: str) -> bool:
    return instruction.upper().startswith("RUN")


def _run_failed(instruction: str, log: str) -> str:
    if not _is_run(instruction):
        return ""
    way = _offline_way(instruction)
    if "externally-managed-environment" in log:
        return (
            "pass `--break-system-packages` to pip, or install into an environment: `python3 -m venv /venv`"
        )
    if _UNTRUSTED.search(log):
        return (
            "add the certificate of your proxy to the image (`COPY ca.crt /` and `ENV SSL_CERT_FILE=/ca.crt"
            f" PIP_CERT=/ca.crt`), or {way or _DOWNLOAD}"
        )
    if _OFFLINE.search(log):
        return f"the build cannot reach the network: go online, or {way or _DOWNLOAD}"
    return ""


def _add_failed(instruction: str, log: str) -> str:
    if not instruction.upper().startswith("ADD ") or not _OFFLINE.search(log):
        return ""
    return f"the build cannot reach the network: go online, or {_DOWNLOAD}"


def _unknown_package(instruction: str, log: str) -> str:
    if found := _last(_DEBIAN_PACKAGE, log):
        return (
            "run `apt-get update` in the same RUN, and correct the name; without a network, use a base image"
            f" that has the package: `samples/base/make.sh {found['name']}`"
        )
    found = _last(_MISSING_WHEEL, log)
    if found is None:
        return ""
    if "--no-index" not in instruction:
        way = _offline_way(instruction) or _DOWNLOAD
        return f"correct the name or version of {found['name']!r}; if the build has no network, {way}"
    return (
        f"add a wheel of {found['name']} for the Python version of the image to the folder: `pip download -d"
        f" wheels --only-binary :all: --python-version X.Y {found['name']}`"
    )


def _missing_file(instruction: str, log: str) -> str:
    found = _last(_MISSING_FILE, log)
    if found is None or not re.match(r"(?:COPY|ADD|RUN\s+--mount)\b", instruction, re.IGNORECASE):
        return ""
    name = (found["name"] or found["stat"]).strip("/")
    if "wheels" in name:
        return f"download the wheels: `pip download -d {name} -r requirements.txt`"
    return f"add {name!r} to the context of the build, and check that .dockerignore does not exclude it"


def _offline_way(instruction: str) -> str:
    """Return how the tool of an instruction works without a network, or ''."""
    for command, usual, way in _OFFLINE_WAYS:
        if re.search(rf"\b{command}\b", instruction):
            wanted = " ".join(_wanted(instruction, command)) or usual
            if "--no-index" in instruction:  # it does so already if it finds wheels
                return (
                    f"fill the folder of wheels where there is a network: `pip download -d wheels {wanted}`"
                )
            return way.format(wanted)
    return ""


def _wanted(instruction: str, command: str) -> Iterator[str]:
    """Yield the packages that an instruction installs, and its requirement files as `-r FILE`."""
    found = re.search(rf"\b{command}\b[^&;|]*?\s(?:install|add)\s+(?P<words>[^&;|]*)", instruction)
    try:
        words = [word for word in shlex.split(found["words"]) if word] if found else []
    except ValueError:
        words = []
    for before, word in zip(["", *words], words, strict=False):
        if before in ("-r", "--requirement"):
            yield f"-r {shlex.quote(word)}"
        elif before not in _NO_PACKAGES and word[0] not in "-$":
            yield shlex.quote(word)
