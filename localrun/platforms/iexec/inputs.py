"""Parse and check the inputs of an iExec app: arguments, files, datasets and secrets."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from localrun.errors import InputsError, OutputsError, Problem, UsageError
from localrun.masking.masker import MIN_LENGTH
from localrun.platforms.iexec import download, layout
from localrun.suggestions import did_you_mean
from localrun.values import digest
from localrun.values.urls import is_url

_LOCAL_FILE = "=@"  # SOURCE=@FILE: use FILE as the content of SOURCE
_SHA256 = re.compile(r"(?:0x)?([0-9a-fA-F]{64})")
_TOO_SHORT = f"is shorter than {MIN_LENGTH} characters, too short to be masked in the output of the app"
FileLocator = Callable[[str], Path]


@dataclass(frozen=True, slots=True)
class IexecInputs:
    """The inputs of an iExec app.

    `input_files` are paths, URLs, or `URL=@FILE`: a local file under the name that the URL would have.
    `datasets` can also be `ADDRESS=@FILE`, and end in `:SHA256` to be verified. `secrets` are the requester's
    by number, `app_secret` is the app developer's. `callback`: the result is for a smart contract, so its
    digest is that of `callback-data`.
    """

    args: str = ""
    input_files: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    secrets: Mapping[str, str] = field(default_factory=dict)
    app_secret: str | None = None
    callback: bool = False


@dataclass(frozen=True, slots=True)
class PreparedApp:
    """An app as a task: the generated descriptor, its input files and its environment.

    `files` are local files and `downloads` (URL, SHA-256 or "") by input name. `secrets` are variables whose
    values are masked.
    """

    descriptor: bytes
    files: dict[str, Path]
    downloads: dict[str, tuple[str, str]]
    command: list[str] | None
    environment: dict[str, str]
    secrets: dict[str, str]
    warnings: tuple[str, ...] = ()


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("must be a string")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def _sources(value: Any) -> tuple[str, ...]:
    """Parse a file or a list of files; a `Path` counts as a string."""
    items = value if isinstance(value, list | tuple) else [value]
    if not all(isinstance(item, str | os.PathLike) and os.fspath(item) for item in items):
        raise ValueError("must be a file, or a list of files")
    return tuple(str(os.fspath(item)) for item in items)


def _secrets(value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping) or not all(isinstance(item, str) for item in value.values()):
        raise ValueError("must be an object of strings, by number")
    secrets = {str(number): text for number, text in value.items()}
    for number in secrets:
        if not re.fullmatch(r"[1-9][0-9]{0,3}", number):
            raise ValueError(f"invalid number {number!r}; expected 1, 2, 3, ...")
    return secrets


PARSERS: dict[str, Callable[[Any], Any]] = {
    "args": _string,
    "input_files": _sources,
    "datasets": _sources,
    "secrets": _secrets,
    "app_secret": _string,
    "callback": _flag,
}


def parse_inputs(given: Mapping[str, Any]) -> IexecInputs:
    """Parse the inputs of an app. Raises `UsageError` with all unknown keys and invalid values."""
    found: dict[str, Any] = {}
    problems = []
    for key, value in given.items():
        if key not in PARSERS:
            remedy = did_you_mean(key, PARSERS) or f"expected one of: {', '.join(PARSERS)}"
            problems.append(Problem(key, "unknown argument of an iExec app", remedy))
            continue
        try:
            found[key] = PARSERS[key](value)
        except ValueError as error:
            shown = "" if "secret" in key else f", not {value!r}"
            problems.append(Problem(key, f"{error}{shown}"))
    if problems:
        raise UsageError("invalid iExec arguments", remedy="fix the problems listed", problems=problems)
    return IexecInputs(**found)


def prepare(app: str, inputs: IexecInputs, find_file: FileLocator | None = None) -> PreparedApp:
    """Prepare an app as a task; `app` is its name as the user wrote it.

    `find_file` resolves paths for remote clients, which may only read certain files and not download any.
    Raises `InputsError` with all problems, and with cause DATASET_CHECKSUM if a checksum does not match.
    """
    checker = _Checker(find_file)
    command = checker.command(inputs.args)
    files = [checker.input_file(text) for text in inputs.input_files]
    datasets = [checker.dataset(text) for text in inputs.datasets]
    checker.reject_duplicates(datasets)
    if problems := checker.problems:
        raise InputsError("invalid iExec arguments", remedy="fix the problems listed", problems=problems)
    names = layout.FileNames(files, datasets)
    secrets = layout.secret_variables(inputs.secrets, inputs.app_secret)
    return PreparedApp(
        layout.make_descriptor(app, names),
        checker.files,
        checker.downloads,
        command,
        layout.environment(app, inputs.args, names, callback=inputs.callback),
        secrets,
        tuple(f"{name} {_TOO_SHORT}" for name, value in secrets.items() if len(value) < MIN_LENGTH),
    )


class _Checker:
    """Checks the inputs of an app one by one and collects their files and problems."""

    def __init__(self, find_file: FileLocator | None) -> None:
        self._find_file = find_file
        self.files: dict[str, Path] = {}
        self.downloads: dict[str, tuple[str, str]] = {}
        self.problems: list[Problem] = []

    def command(self, args: str) -> list[str] | None:
        """Split the arguments; return None if there are none, so that the image's own CMD is used."""
        try:
            return layout.split_args(args) or None
        except ValueError as error:
            self.problems.append(Problem("args", f"{error} in {args!r}", "close or remove it"))
            return None

    def input_file(self, text: str) -> str:
        """Add an input file, and return its name below /iexec_in."""
        source, file = _split_source(text)
        name = layout.input_name(source)
        self._add("input_files", name, source, file)
        return name

    def dataset(self, text: str) -> str:
        """Add a dataset, verify its checksum if there is one, and return its address."""
        text, checksum = self._split_checksum(text)
        source, file = _split_source(text)
        name = layout.dataset_address(source if file or is_url(source) else Path(source).name)
        self._add("datasets", name, source, file, checksum)
        if checksum and name in self.files:
            _verify_checksum(self.files[name], checksum)
        return name

    def _split_checksum(self, text: str) -> tuple[str, str]:
        before, colon, last = text.rpartition(":")
        found = _SHA256.fullmatch(last)
        is_port = last.isdigit() and found is None
        if not colon or not before or "/" in last or is_port or Path(text).exists():
            return text, ""
        if found is None:
            remedy = "write FILE:SHA256, with 64 hexadecimal digits"
            self.problems.append(Problem("datasets", f"invalid SHA-256 {last!r}", remedy))
        return before, found[1].lower() if found else ""

    def _add(self, section: str, name: str, source: str, file: str | None, checksum: str = "") -> None:
        if file is None and is_url(source):
            self._add_download(section, name, source, checksum)
        elif file is None and layout.ADDRESS.fullmatch(source) and not Path(source).exists():
            remedy = f"pass a local file for it: {source}=@FILE"
            self.problems.append(Problem(section, f"{source} exists only on a blockchain", remedy))
        else:
            self._add_file(section, name, source if file is None else file)

    def _add_download(self, section: str, name: str, url: str, checksum: str) -> None:
        if self._find_file is not None:
            remedy = f"save it as a file and pass {url}=@FILE"
            self.problems.append(Problem(section, f"{url} is not downloaded for remote clients", remedy))
        elif not url.startswith(download.SCHEMES):
            remedy = f"use http or https, or save it as a file and pass {url}=@FILE"
            self.problems.append(Problem(section, f"unsupported URL {url}", remedy))
        else:
            self.downloads[name] = (url, checksum)

    def _add_file(self, section: str, name: str, file: str) -> None:
        path = self._find_file(file) if self._find_file is not None else Path(file).absolute()
        if path.is_dir():
            message, remedy = f"{file} is a folder", "pack it into one file, e.g. a zip"
        elif not path.exists():
            message, remedy = f"no such file: {file}", "check the path"
        elif not path.is_file() or not os.access(path, os.R_OK):
            message, remedy = f"cannot read {file}", "pass a readable regular file"
        else:
            self.files[name] = path
            return
        self.problems.append(Problem(section, message, remedy))

    def reject_duplicates(self, names: list[str]) -> None:
        if len(set(names)) < len(names):
            remedy = "rename one, or write ADDRESS=@FILE"
            self.problems.append(Problem("datasets", "two datasets have the same name", remedy))


def _split_source(text: str) -> tuple[str, str | None]:
    """Split `SOURCE=@FILE` into source and local file; the file is None if not given."""
    source, separator, file = text.rpartition(_LOCAL_FILE)
    return (source, file) if separator and source and file else (text, None)


def _verify_checksum(path: Path, checksum: str) -> None:
    try:
        found = digest.digest_file(path.resolve()).removeprefix("0x")
    except OutputsError as error:
        raise InputsError(f"cannot read the dataset {path}", remedy="check the file") from error
    if found != checksum:
        raise download.checksum_error(str(path), checksum, found)
