"""The options of a build as users write them, in the syntax of docker."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from localrun.engines.base import IMAGE_CONTEXT, BuildSecret

_SECRET_LIMIT = 500 * 1024  # bytes; BuildKit's own limit
_SECRET_KEYS = ("id", "src", "source", "env", "type")


class FolderBuild(msgspec.Struct, frozen=True, kw_only=True):
    """How to build the image of a folder.

    `dockerfile` and `context` are absolute paths; empty: found in the bundle, and the bundle's folder.
    `target` is a stage of the Dockerfile. `contexts` replaces images of the Dockerfile: name ->
    `docker-image://REFERENCE`. `platform` is that of the image, also of one that is not built, e.g.
    `linux/arm64`. `lost_secrets` are the ids of secrets that an earlier process had. `mounted` are
    absolute paths that the task mounts over those of the image.
    """

    dockerfile: str = ""
    context: str = ""
    target: str = ""
    build_args: Mapping[str, str] = {}
    secrets: tuple[BuildSecret, ...] = ()
    contexts: Mapping[str, str] = {}
    lost_secrets: tuple[str, ...] = ()
    mounted: tuple[str, ...] = ()
    platform: str = ""

    @property
    def used_options(self) -> list[str]:
        """The command line options that are set and only apply to a build."""
        given = {
            "--file": self.dockerfile,
            "--context": self.context,
            "--target": self.target,
            "--build-arg": self.build_args,
            "--build-secret": self.secrets,
            "--build-context": self.contexts,
        }
        return [name for name, value in given.items() if value]


NO_OPTIONS = FolderBuild()


def parse_secrets(given: Any, environ: Mapping[str, str]) -> tuple[BuildSecret, ...]:
    """Return the secrets of a list of strings as `parse_secret`, or of a mapping of ids.

    The values of a mapping are paths, or strings `src=FILE` and `env=VARIABLE`. Raises `ValueError`.
    """
    if isinstance(given, Mapping):
        return tuple(_named_secret(name, source, environ) for name, source in given.items())
    if isinstance(given, str) or not all(isinstance(item, (str, BuildSecret)) for item in given):
        raise ValueError("expected a mapping of ids to paths, or a list of id=ID,src=FILE")
    return tuple(item if isinstance(item, BuildSecret) else parse_secret(item, environ) for item in given)


def _named_secret(name: str, source: Any, environ: Mapping[str, str]) -> BuildSecret:
    if isinstance(source, os.PathLike):
        path = Path(os.path.abspath(source))  # noqa: PTH100 - keeps links
        return BuildSecret(name, file=path, value=_read_secret(name, path))
    if isinstance(source, str) and source.startswith(("env=", "src=")):
        return parse_secret(f"id={name},{source}", environ)
    # the value is not repeated, because it may be the secret itself
    raise ValueError(f"secret {name!r}: expected a Path, 'src=FILE' or 'env=VARIABLE'")


def parse_secret(text: str, environ: Mapping[str, str]) -> BuildSecret:
    """Return the secret `id=ID,src=FILE` or `id=ID,env=VAR`; `id=ID` alone is the variable or file ID.

    Raises `ValueError` if the syntax is invalid, or the file or variable does not exist.
    """
    import csv

    fields = dict(_secret_field(part) for part in next(csv.reader([text]), []))
    name = fields.get("id", "")
    file = fields.get("src", fields.get("source", ""))
    variable = fields.get("env", "")
    if not name:
        raise ValueError(f"{text!r} has no id; expected id=ID,src=FILE or id=ID,env=VARIABLE")
    if file and (variable or fields.get("type") == "env"):
        if variable:
            raise ValueError(f"secret {name!r} has a file and a variable; pass one of src= and env=")
        file, variable = "", file
    if not file and not variable:
        is_variable = fields.get("type") == "env" or (fields.get("type") != "file" and name in environ)
        file, variable = ("", name) if is_variable else (name, "")
    if variable:
        if variable not in environ:
            raise ValueError(f"secret {name!r}: the environment variable {variable} is not set")
        return BuildSecret(name, variable=variable, value=environ[variable])
    path = Path(os.path.abspath(os.path.expanduser(file)))  # noqa: PTH100, PTH111 - keeps links
    return BuildSecret(name, file=path, value=_read_secret(name, path))


def _secret_field(part: str) -> tuple[str, str]:
    key, equals, value = part.strip().partition("=")
    key = key.lower()
    if not equals or not value or key not in _SECRET_KEYS:
        # the value is not repeated, because it may be the secret itself
        raise ValueError("expected id=ID,src=FILE or id=ID,env=VARIABLE")
    if key == "type" and value not in ("file", "env"):
        raise ValueError("unknown secret type; expected file or env")
    return key, value


def _read_secret(name: str, path: Path) -> str:
    try:
        if path.stat().st_size > _SECRET_LIMIT:
            raise ValueError(f"secret {name!r}: {path} is larger than 500 KiB, the limit of BuildKit")
        return path.read_bytes().decode("utf-8", "surrogateescape")
    except OSError as error:
        raise ValueError(f"secret {name!r}: cannot read {path}: {error.strerror}") from error


def parse_context(text: str) -> tuple[str, str]:
    """Return the name and the reference of `NAME=docker-image://REFERENCE`. Raises `ValueError`."""
    name, _, reference = text.partition("=")
    check_context(name, reference)
    return name, reference


def check_context(name: str, reference: str) -> None:
    """Raise `ValueError` unless a build context is an image."""
    if not name or not reference.startswith(IMAGE_CONTEXT) or reference == IMAGE_CONTEXT:
        given = f"{name}={reference}"
        raise ValueError(f"{given!r} is not an image; expected NAME=docker-image://REFERENCE")
