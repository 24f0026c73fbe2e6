"""What a session was told: flag > ini option > default; the fixtures that use it come before, see docs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

import pytest

Keep = Literal["never", "failed", "always"]
Leaks = Literal["error", "warn", "ignore"]
_LIMITS = ("cpus", "memory", "gpus")
_WORDS = {
    "keep": ("never", "failed", "always"),
    "leaks": ("error", "warn", "ignore"),
    "required": ("auto", "yes", "no"),
}


@dataclass(frozen=True)
class SessionOptions:
    """The options of a session. `timeout` is in seconds; `limits` are cpus, memory in bytes, gpus."""

    bundle: Path | None = None
    engine: str = "docker"
    timeout: float | None = None
    limits: Mapping[str, Any] = field(default_factory=dict)
    build_args: Mapping[str, str] = field(default_factory=dict)
    keep: Keep = "failed"
    folder: Path | None = None
    cases: str = "cases"
    required: bool = False
    leaks: Leaks = "error"
    update: bool = False


SESSION_OPTIONS: pytest.StashKey[SessionOptions] = pytest.StashKey()


def register(parser: pytest.Parser) -> None:
    """Tell pytest of the flags and ini options."""
    group = parser.getgroup("localrun", "tasks in containers")
    for name, metavar, what in (
        ("bundle", "PATH", "the project's own bundle (default: found from the root folder upwards)"),
        ("engine", "ENGINE", "docker (default), the address of one, or fake: without containers"),
        ("timeout", "TIME", "how long a task may run, such as 90s or 10m"),
        ("folder", "DIR", "where the tests' tasks are kept (default: pytest's temporary folder)"),
        ("keep", "WHEN", "keep the tasks of a test: never, failed (default), always"),
        ("leaks", "HOW", "what was left behind at the end: error (default), warn, ignore"),
        ("required", "HOW", "fail, not skip, without an engine: auto (default: where CI is set), yes, no"),
    ):
        group.addoption(f"--localrun-{name}", metavar=metavar, help=what)
        parser.addini(f"localrun_{name}", what, default="")
    for name, metavar, what in (
        ("limit", "NAME=AMOUNT", "what a task may use: cpus, memory, gpus; may be given again"),
        ("build-arg", "NAME=VALUE", "an ARG of the Dockerfile; may be given again"),
    ):
        group.addoption(f"--localrun-{name}", metavar=metavar, action="append", default=[], help=what)
        parser.addini(f"localrun_{name.replace('-', '_')}s", what, type="linelist", default=[])
    parser.addini(
        "localrun_cases", "the folder of cases beside a test file (default: cases)", default="cases"
    )
    group.addoption(
        "--localrun-update", action="store_true", help="write what cases give as their new expectation"
    )


def read(config: pytest.Config) -> SessionOptions:
    """All options, checked. Raises `pytest.UsageError` with everything that does not fit."""
    reader = _Reader(config)
    found = SessionOptions(
        bundle=reader.path("bundle"),
        engine=reader.text("engine") or "docker",
        timeout=reader.timeout(),
        limits=reader.limits(),
        build_args=reader.pairs("build_arg"),
        keep=cast("Keep", reader.word("keep", "failed")),
        folder=reader.path("folder"),
        cases=str(config.getini("localrun_cases")),
        required=_required(reader.word("required", "auto"), os.environ),
        leaks=cast("Leaks", reader.word("leaks", "error")),
        update=bool(config.getoption("localrun_update")),
    )
    if reader.problems:
        raise pytest.UsageError("\n".join(reader.problems))
    return found


def _required(word: str, environ: Mapping[str, str]) -> bool:
    if word != "auto":
        return word == "yes"
    return environ.get("CI", "").lower() not in ("", "0", "false")


class _Reader:
    """Reads flags and ini options, and collects what does not fit."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self.problems: list[str] = []

    def text(self, name: str) -> str:
        """The flag, else the ini option."""
        return str(self._config.getoption(f"localrun_{name}") or self._config.getini(f"localrun_{name}"))

    def path(self, name: str) -> Path | None:
        """A path: of the flag relative to where pytest was called, of the ini option to the ini file."""
        flag, ini = self._config.getoption(f"localrun_{name}"), self._config.getini(f"localrun_{name}")
        if flag:
            return (self._config.invocation_params.dir / Path(flag).expanduser()).absolute()
        base = self._config.inipath.parent if self._config.inipath else self._config.rootpath
        return (base / Path(ini).expanduser()).absolute() if ini else None

    def word(self, name: str, default: str) -> str:
        """One of a few words."""
        found = self.text(name) or default
        if found not in _WORDS[name]:
            self.refuse(name, found, f"write one of {', '.join(_WORDS[name])}")
        return found

    def timeout(self) -> float | None:
        """Seconds."""
        found: float | None = self.amount("timeout", self.text("timeout"), _seconds)
        return found

    def limits(self) -> dict[str, Any]:
        """Amounts by name."""
        found = self.pairs("limit")
        for name in found.keys() - set(_LIMITS):
            self.refuse("limit", name, f"the limits are {', '.join(_LIMITS)}")
        parsers: dict[str, Callable[[str], Any]] = {"cpus": _cpus, "memory": _bytes, "gpus": int}
        return {
            name: self.amount("limit", text, parsers[name]) for name, text in found.items() if name in _LIMITS
        }

    def pairs(self, name: str) -> dict[str, str]:
        """`NAME=VALUE` of the ini option, and over it of the flags."""
        ini: Iterable[str] = self._config.getini(f"localrun_{name}s")
        found = {}
        for text in (*ini, *self._config.getoption(f"localrun_{name}")):
            key, equals, value = text.partition("=")
            if not equals or not key.strip():
                self.refuse(name, text, "write NAME=VALUE")
            found[key.strip()] = value.strip()
        return found

    def amount(self, name: str, text: str, parse: Callable[[str], Any]) -> Any:
        """What `parse` makes of a text; None for an empty one."""
        try:
            return parse(text) if text else None
        except ValueError as error:
            self.refuse(name, text, str(error))
            return None

    def refuse(self, name: str, value: str, remedy: str) -> None:
        """Say what does not fit."""
        self.problems.append(f"localrun: --localrun-{name.replace('_', '-')} {value!r}: {remedy}")


def _seconds(text: str) -> float:
    from localrun.units import parse_duration

    return parse_duration(text)


def _bytes(text: str) -> int:
    from localrun.units import parse_bytes

    return parse_bytes(text)


def _cpus(text: str) -> float:
    found = float(text)
    if not 0 < found < float("inf"):
        raise ValueError("must be a number above 0")
    return found
