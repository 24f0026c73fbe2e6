"""What a requester orders: arguments, files, datasets and secrets; and what becomes of them."""

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

_STANDS = "=@"  # PLACE=@FILE: the file stands for what is at PLACE
_SHA256 = re.compile(r"(?:0x)?([0-9a-fA-F]{64})")
FileLocator = Callable[[str], Path]


@dataclass(frozen=True, slots=True)
class IexecInputs:
    """What is asked of an app.

    `input_files` are files, addresses of the web, or `URL=@FILE`: a file under the name that the URL would
    give it. `datasets` likewise, and `ADDRESS=@FILE`, each with `:SHA256` behind it if it is to be checked.
    `secrets` are those of the requester by their number, `app_secret` that of the app's developer.
    `callback`: the result is for a contract, so its digest is that of `callback-data`.
    """

    args: str = ""
    input_files: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    secrets: Mapping[str, str] = field(default_factory=dict)
    app_secret: str | None = None
    callback: bool = False


@dataclass(frozen=True, slots=True)
class PreparedApp:
    """An order as a request knows it: what the descriptor, files and variables of its task are.

    `files` are local ones and `downloads` (URL, SHA-256 or nothing) by the names of inputs; `secrets` are
    variables whose values nobody may see.
    """

    descriptor: bytes
    files: dict[str, Path]
    downloads: dict[str, tuple[str, str]]
    command: list[str] | None
    environment: dict[str, str]
    secrets: dict[str, str]
    warnings: tuple[str, ...] = ()


# -- reading an order ------------------------------------------------------------------------------


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("must be a text")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def _places(value: Any) -> tuple[str, ...]:
    """One, or a list of them; a `Path` is a text like any other."""
    items = value if isinstance(value, list | tuple) else [value]
    if not all(isinstance(item, str | os.PathLike) and os.fspath(item) for item in items):
        raise ValueError("must be a file, or a list of files")
    return tuple(str(os.fspath(item)) for item in items)


def _secrets(value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping) or not all(isinstance(item, str) for item in value.values()):
        raise ValueError("must be an object of texts, by their numbers")
    numbers = [str(number) for number in value]
    wrong = [number for number in numbers if not re.fullmatch(r"[1-9][0-9]{0,3}", number)]
    if wrong:
        raise ValueError(f"must be numbered 1, 2, 3, ...; {wrong[0]!r} is no such number")
    return {str(number): text for number, text in value.items()}


PARSERS: dict[str, Callable[[Any], Any]] = {
    "args": _text,
    "input_files": _places,
    "datasets": _places,
    "secrets": _secrets,
    "app_secret": _text,
    "callback": _flag,
}


def parse_inputs(given: Mapping[str, Any]) -> IexecInputs:
    """An order from an object. Raises `UsageError` with every key that is unknown or does not fit."""
    found: dict[str, Any] = {}
    problems = []
    for key, value in given.items():
        if key not in PARSERS:
            remedy = did_you_mean(key, PARSERS) or f"there are {', '.join(PARSERS)}"
            problems.append(Problem(key, "is nothing that an iExec app is given", remedy))
            continue
        try:
            found[key] = PARSERS[key](value)
        except ValueError as error:
            shown = "" if "secret" in key else f" (it is {value!r})"
            problems.append(Problem(key, f"{error}{shown}"))
    if problems:
        raise UsageError("the order does not fit", remedy="correct what is listed", problems=problems)
    return IexecInputs(**found)


# -- furnishing it ---------------------------------------------------------------------------------


def prepare(app: str, order: IexecInputs, find_file: FileLocator | None = None) -> PreparedApp:
    """What the task of an app needs; `app` is how the user calls it.

    `find_file` says where a file is, or refuses it, for orders of people who may not read every file; they
    may not have files fetched either. Raises `InputsError` with all that is wrong, and with cause
    DATASET_CHECKSUM when a dataset is another one than the order says.
    """
    given = _Given(find_file)
    command = given.command(order.args)
    inputs = [given.input(text) for text in order.input_files]
    datasets = [given.dataset(text) for text in order.datasets]
    given.refuse_twice(datasets)
    if given.problems:
        raise InputsError(
            "the order does not fit", remedy="correct what is listed", problems=list(given.problems)
        )
    names = layout.FileNames(inputs, datasets)
    secrets = layout.secret_variables(order.secrets, order.app_secret)
    return PreparedApp(
        layout.make_descriptor(app, layout.FileNames(list(dict.fromkeys(inputs)), datasets)),
        given.files,
        given.downloads,
        command,
        layout.environment(app, order.args, names, callback=order.callback),
        secrets,
        tuple(_short(name) for name, value in secrets.items() if len(value) < MIN_LENGTH),
    )


def _short(name: str) -> str:
    return (
        f"{name} has fewer than {MIN_LENGTH} characters:"
        " too few to be found and hidden in what the app writes"
    )


class _Given:
    """What was given, looked at piece by piece."""

    def __init__(self, find_file: FileLocator | None) -> None:
        self._find_file = find_file
        self.files: dict[str, Path] = {}
        self.downloads: dict[str, tuple[str, str]] = {}
        self.problems: list[Problem] = []

    def command(self, args: str) -> list[str] | None:
        """The words of the arguments; None when there are none: the image's own CMD is taken then."""
        try:
            return layout.split_args(args) or None
        except ValueError as error:
            self.problems.append(Problem("args", f"{error} (it is {args!r})", "close it, or leave it out"))
            return None

    def input(self, text: str) -> str:
        """Take an input file; the name that it has below /iexec_in."""
        place, file = _parted(text)
        name = layout.input_name(place)
        self._take("input_files", name, place, file)
        return name

    def dataset(self, text: str) -> str:
        """Take a dataset, and compare its checksum when one is given; its address."""
        text, checksum = self._checksum(text)
        place, file = _parted(text)
        name = layout.dataset_address(place if file or download.is_url(place) else Path(place).name)
        self._take("datasets", name, place, file, checksum)
        if checksum and name in self.files:
            _compare(self.files[name], checksum)
        return name

    def _checksum(self, text: str) -> tuple[str, str]:
        before, colon, last = text.rpartition(":")
        found = _SHA256.fullmatch(last)
        is_port = last.isdigit() and found is None
        if not colon or not before or "/" in last or is_port or Path(text).exists():
            return text, ""
        if found is None:
            message = f"{last!r} is no SHA-256"
            self.problems.append(
                Problem("datasets", message, "write FILE:SHA256, with 64 hexadecimal digits")
            )
        return before, found[1].lower() if found else ""

    def _take(self, section: str, name: str, place: str, file: str | None, checksum: str = "") -> None:
        if file is None and download.is_url(place):
            self._url(section, name, place, checksum)
        elif file is None and layout.ADDRESS.fullmatch(place) and not Path(place).exists():
            remedy = f"give the file that stands for it: {place}=@FILE"
            self.problems.append(Problem(section, f"{place} exists only on a blockchain", remedy))
        else:
            self._file(section, name, place if file is None else file)

    def _url(self, section: str, name: str, url: str, checksum: str) -> None:
        if self._find_file is not None:
            remedy = f"save it as a file, and give {url}=@FILE"
            self.problems.append(Problem(section, f"{url} is not fetched for requests of others", remedy))
        elif not url.startswith(download.SCHEMES):
            remedy = f"use http or https, or save it as a file and give {url}=@FILE"
            self.problems.append(Problem(section, f"{url} cannot be fetched from here", remedy))
        else:
            self.downloads[name] = (url, checksum)

    def _file(self, section: str, name: str, file: str) -> None:
        path = self._find_file(file) if self._find_file is not None else Path(file).absolute()
        if path.is_dir():
            message, remedy = f"{file} is a folder", "pack it into one file, for example a zip"
        elif not path.exists():
            message, remedy = f"there is no file {file}", "check the path"
        elif not path.is_file() or not os.access(path, os.R_OK):
            message, remedy = f"{file} cannot be read", "give a regular file that you may read"
        else:
            self.files[name] = path
            return
        self.problems.append(Problem(section, message, remedy))

    def refuse_twice(self, names: list[str]) -> None:
        """A dataset is known by its address, so each needs one of its own."""
        if len(set(names)) < len(names):
            remedy = "rename one, or write ADDRESS=@FILE"
            self.problems.append(Problem("datasets", "two of them have the same name", remedy))


def _parted(text: str) -> tuple[str, str | None]:
    """The place that a file comes from, and the file that stands for it, if one does."""
    place, stands, file = text.rpartition(_STANDS)
    return (place, file) if stands and place and file else (text, None)


def _compare(path: Path, checksum: str) -> None:
    try:
        found = digest.digest_file(path.resolve()).removeprefix("0x")
    except OutputsError as error:
        raise InputsError(f"the dataset {path} cannot be read", remedy="check the file") from error
    if found != checksum:
        raise download.checksum_error(str(path), checksum, found)
