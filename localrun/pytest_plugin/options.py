"""The options of a session: flag > ini option > default. Fixtures override them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
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
    """The options of a session. `timeout` is in seconds; `limits` are cpus, memory in bytes, gpus.

    `build` are further options of `submit` for the image of the project's own bundle.
    """

    bundle: Path | None = None
    engine: str = "docker"
    timeout: float | None = None
    limits: Mapping[str, Any] = field(default_factory=dict)
    build_args: Mapping[str, str] = field(default_factory=dict)
    build: Mapping[str, Any] = field(default_factory=dict)
    keep: Keep = "failed"
    folder: Path | None = None
    cases: str = "cases"
    required: bool = False
    leaks: Leaks = "error"
    update: bool = False


SESSION_OPTIONS: pytest.StashKey[SessionOptions] = pytest.StashKey()


def register(parser: pytest.Parser) -> None:
    group = parser.getgroup("localrun", "tasks in containers")
    for name, metavar, text in (
        ("bundle", "PATH", "the project's own bundle (default: found in or above the root folder)"),
        ("dockerfile", "FILE", "Dockerfile of the project's own bundle"),
        ("context", "DIR", "build context of the project's own bundle"),
        ("target", "STAGE", "stage of the Dockerfile to build"),
        ("platform", "PLATFORM", "platform of images, e.g. linux/arm64 (default: the engine's)"),
        ("engine", "ENGINE", "docker (default), the address of an engine, or fake: run no containers"),
        ("timeout", "DURATION", "time limit of a task, e.g. 90s or 10m"),
        ("folder", "DIR", "folder for the tasks of tests (default: pytest's temporary folder)"),
        ("keep", "WHEN", "when to keep the tasks of a test: never, failed (default), always"),
        ("leaks", "ACTION", "action on leftovers at the end: error (default), warn, ignore"),
        ("required", "WHEN", "fail instead of skip without an engine: auto (default: if CI is set), yes, no"),
    ):
        group.addoption(f"--localrun-{name}", metavar=metavar, help=text)
        parser.addini(f"localrun_{name}", text, default="")
    for name, metavar, text in (
        ("limit", "NAME=VALUE", "resource limit of a task: cpus, memory, gpus; repeatable"),
        ("build-arg", "NAME=VALUE", "build argument of the Dockerfile; repeatable"),
        ("build-secret", "id=ID,src=FILE|env=VAR", "secret of the build, which is not stored; repeatable"),
        ("build-context", "NAME=docker-image://REF", "image for NAME in the Dockerfile; repeatable"),
    ):
        group.addoption(f"--localrun-{name}", metavar=metavar, action="append", default=[], help=text)
        parser.addini(f"localrun_{name.replace('-', '_')}s", text, type="linelist", default=[])
    parser.addini(
        "localrun_cases", "the folder of cases next to a test file (default: cases)", default="cases"
    )
    group.addoption(
        "--localrun-update", action="store_true", help="save the outputs of cases as the expected ones"
    )


def read(config: pytest.Config) -> SessionOptions:
    """Return the validated options. Raises `pytest.UsageError` with every invalid one."""
    reader = _OptionReader(config)
    found = SessionOptions(
        bundle=reader.path("bundle"),
        engine=reader.text("engine") or "docker",
        timeout=reader.timeout(),
        limits=reader.limits(),
        build_args=reader.pairs("build_arg"),
        build=reader.build(),
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


class _OptionReader:
    """Reads flags and ini options, and collects problems."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self.problems: list[str] = []

    def text(self, name: str) -> str:
        """Return the value of the flag, else of the ini option."""
        return str(self._config.getoption(f"localrun_{name}") or self._config.getini(f"localrun_{name}"))

    def path(self, name: str) -> Path | None:
        """Return a path. A flag is relative to the working directory, an ini option to the ini file."""
        flag, ini = self._config.getoption(f"localrun_{name}"), self._config.getini(f"localrun_{name}")
        if flag:
            return (self._config.invocation_params.dir / Path(flag).expanduser()).absolute()
        base = self._config.inipath.parent if self._config.inipath else self._config.rootpath
        return (base / Path(ini).expanduser()).absolute() if ini else None

    def word(self, name: str, default: str) -> str:
        found = self.text(name) or default
        if found not in _WORDS[name]:
            self.refuse(name, found, f"expected one of: {', '.join(_WORDS[name])}")
        return found

    def timeout(self) -> float | None:
        found: float | None = self.amount("timeout", self.text("timeout"))
        return found

    def limits(self) -> dict[str, Any]:
        found = self.pairs("limit")
        for name in found.keys() - set(_LIMITS):
            self.refuse("limit", name, f"expected one of: {', '.join(_LIMITS)}")
        return {name: self.amount(name, text) for name, text in found.items() if name in _LIMITS}

    def pairs(self, name: str) -> dict[str, str]:
        """Return `NAME=VALUE` pairs of the ini option, overridden by those of the flags."""
        found = {}
        for text in self._repeated(name):
            key, equals, value = text.partition("=")
            if not equals or not key.strip():
                self.refuse(name, text, "expected NAME=VALUE")
            found[key.strip()] = value.strip()
        return found

    def build(self) -> dict[str, Any]:
        """Return the options of `submit` for the build that are set."""
        places = {name: self.path(name) for name in ("dockerfile", "context")}
        found: dict[str, Any] = {name: str(path) for name, path in places.items() if path}
        if target := self.text("target"):
            found["target"] = target
        if platform := self.amount("platform", self.text("platform")):
            found["platform"] = platform
        secrets = []
        for text in self._repeated("build_secret"):
            from localrun.bundle.images.build_options import parse_secret

            try:
                secrets.append(parse_secret(text, os.environ))
            except ValueError as error:
                self.problems.append(f"localrun: --localrun-build-secret: {error}")
        contexts = self.pairs("build_context")
        for name, reference in contexts.items():
            from localrun.bundle.images.build_options import check_context

            try:
                check_context(name, reference)
            except ValueError as error:
                self.problems.append(f"localrun: --localrun-build-context: {error}")
        more = {"build_secrets": tuple(secrets), "build_contexts": contexts}
        return found | {name: value for name, value in more.items() if value}

    def _repeated(self, name: str) -> list[str]:
        """Return the values of the ini option and of the flags."""
        ini: Iterable[str] = self._config.getini(f"localrun_{name}s")
        return [*ini, *self._config.getoption(f"localrun_{name}")]

    def amount(self, option: str, text: str) -> Any:
        """Parse an option of a run; None for an empty string."""
        if not text:
            return None
        from localrun.task.options import PARSERS

        convert = {"cpus": float, "gpus": int}.get(option, str)
        try:
            return PARSERS[option](convert(text))
        except ValueError as error:
            self.refuse("limit" if option in _LIMITS else option, text, str(error))
            return None

    def refuse(self, name: str, value: str, remedy: str) -> None:
        self.problems.append(f"localrun: --localrun-{name.replace('_', '-')} {value!r}: {remedy}")
