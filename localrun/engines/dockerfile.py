"""A parser of Dockerfiles: directives, stages, and instructions with their flags and line numbers.

It follows BuildKit's parser. It accepts any instruction, because the builder reports invalid ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cached_property

import msgspec

_DIRECTIVE = re.compile(r"#\s*(?P<name>[A-Za-z][A-Za-z0-9]*)\s*=\s*(?P<value>\S.*)")
_FLAG = re.compile(r"--(?P<name>[A-Za-z-]+)(?:=(?P<value>(?:\"[^\"]*\"|'[^']*'|[^\s\"'])*))?(?:\s+|$)")
_HEREDOC = re.compile(
    r"(?:^|(?<=[\s;&|(]))\d*<<(?P<dash>-?)(?P<quote>[\"']?)(?P<word>[A-Za-z_]\w*)(?P=quote)"
)
_VARIABLE = re.compile(
    r"(?<!\\)\$(?:\{(?P<braced>\w+)(?::?(?P<sign>[-+])(?P<word>[^}]{0,1000}))?\}|(?P<bare>\w+))"
)
_LONGEST_VALUE = 1 << 16  # characters of a text with variables
_WITH_HEREDOCS = {"RUN", "COPY", "ADD"}


class Heredoc(msgspec.Struct, frozen=True):
    """The start of a here-document: its delimiter, and whether leading tabs are removed (`<<-`)."""

    word: str
    dash: bool


class Instruction(msgspec.Struct, frozen=True):
    """One instruction. `line` is its first one, from 1; `name` is in upper case; `text` follows the flags."""

    line: int
    name: str
    text: str
    flags: tuple[tuple[str, str], ...] = ()
    heredocs: tuple[Heredoc, ...] = ()

    @property
    def trigger(self) -> Instruction | None:
        """The instruction after ONBUILD."""
        return _instruction(self.line, self.text) if self.name == "ONBUILD" else None

    @property
    def source(self) -> str:
        """The instruction as it is written, in one line."""
        flags = "".join(f"--{name}{'=' * bool(value)}{value} " for name, value in self.flags)
        return f"{self.name} {flags}{self.text}"

    @property
    def sources(self) -> tuple[str, ...]:
        """The stages and images in `--from` and in `from=` of mounts."""
        found: list[str] = []
        for name, value in self.flags:
            if name == "from":
                found.append(value)
            if name == "mount":
                found += (part[5:] for part in value.split(",") if part.startswith("from="))
        return tuple(found)

    @property
    def secrets(self) -> tuple[str, ...]:
        """The ids of the secrets that it mounts."""
        mounts = [_options(value) for name, value in self.flags if name == "mount"]
        secrets = [options for options in mounts if options.get("type") == "secret"]
        return tuple(options.get("id") or _target(options).rpartition("/")[2] for options in secrets)

    def flag(self, name: str) -> str | None:
        """Return the value of the last flag with this name, or None."""
        return next((value for key, value in reversed(self.flags) if key == name), None)


class Stage(msgspec.Struct, frozen=True):
    """One `FROM` and the instructions after it. `base` is its image or stage, with variables."""

    index: int
    line: int
    base: str
    name: str
    platform: str
    instructions: tuple[Instruction, ...]

    def label(self) -> str:
        """The stage's name, or its number if it has none."""
        return self.name or str(self.index)


class Dockerfile:
    """A parsed Dockerfile."""

    def __init__(self, text: str) -> None:
        self.lines = text.removeprefix("\ufeff").splitlines()
        self.directives = dict(self._directives())
        self.instructions = list(self._instructions())

    @property
    def syntax(self) -> tuple[int, str] | None:
        """The line and the image of `# syntax=IMAGE`."""
        return self.directives.get("syntax")

    @cached_property
    def stages(self) -> list[Stage]:
        starts = [at for at, each in enumerate(self.instructions) if each.name == "FROM"]
        ends = [*starts[1:], len(self.instructions)]
        spans = enumerate(zip(starts, ends, strict=False))
        return [self._stage(index, start, end) for index, (start, end) in spans]

    @property
    def first_arguments(self) -> list[Instruction]:
        """The ARG instructions before the first FROM."""
        before = self.instructions[: self.instructions.index(self._first_from)] if self.stages else []
        return [each for each in before if each.name == "ARG"]

    @property
    def _first_from(self) -> Instruction:
        return next(each for each in self.instructions if each.name == "FROM")

    def needed_stages(self, target: str = "") -> list[Stage]:
        """Return the stages that `target` (default: the last stage) is built from, including itself."""
        by_name = {stage.name: stage for stage in self.stages if stage.name}
        by_name |= {str(stage.index): stage for stage in self.stages}
        last = by_name.get(target.lower()) if target else next(reversed(self.stages), None)
        found: dict[int, Stage] = {}
        queue = [last] if last else list(self.stages)
        while queue:
            stage = queue.pop()
            if stage.index not in found:
                found[stage.index] = stage
                names = (name.lower() for name in _sources(stage))
                queue += [by_name[name] for name in names if name in by_name]
        return [found[index] for index in sorted(found)]

    def line_of(self, step: str) -> int:
        """Return the line of the instruction that a builder reports as `step`; 0 if unknown."""
        wanted = _squeeze(step)
        for each in self.instructions:
            if each.heredocs and wanted.startswith(_squeeze(f"{each.name} {each.text}")):
                return each.line
            if _squeeze(each.source) == wanted:
                return each.line
        return 0

    def _directives(self) -> Iterator[tuple[str, tuple[int, str]]]:
        for number, line in enumerate(self.lines, 1):
            found = _DIRECTIVE.fullmatch(line.strip())
            if not found:
                return
            yield found["name"].lower(), (number, found["value"])

    def _instructions(self) -> Iterator[Instruction]:
        escape = self.directives.get("escape", (0, "\\"))[1][:1]
        lines = iter(enumerate(self.lines, 1))
        for number, line in lines:
            if _is_comment(line):
                continue
            parts = [line]
            while (last := parts[-1].rstrip(" \t")).endswith(escape):
                # comments and empty lines inside of an instruction are left out
                parts[-1:] = [last[:-1], next((each for _, each in lines if not _is_comment(each)), "")]
            made = _instruction(number, "".join(parts))
            for heredoc in made.heredocs:
                for _, body in lines:
                    if (body.lstrip("\t") if heredoc.dash else body) == heredoc.word:
                        break
            yield made

    def _stage(self, index: int, first: int, end: int) -> Stage:
        start = self.instructions[first]
        words = start.text.split()
        named = len(words) > 2 and words[1].lower() == "as"
        return Stage(
            index,
            start.line,
            base=words[0] if words else "",
            name=words[2].lower() if named else "",
            platform=start.flag("platform") or "",
            instructions=tuple(self.instructions[first + 1 : end]),
        )


def expand(text: str, values: Mapping[str, str]) -> str:
    """Replace `$NAME`, `${NAME}`, `${NAME:-word}` and `${NAME:+word}`; an unknown variable is empty.

    So is one that would make the text too long: variables that contain each other can grow without bounds.
    """
    total = len(text)

    def value(found: re.Match[str]) -> str:
        nonlocal total
        known = values.get(found["braced"] or found["bare"], "")
        if found["sign"] == "-":
            known = known or expand(found["word"], values)
        elif found["sign"] == "+":
            known = expand(found["word"], values) if known else ""
        total += len(known)
        return known if total <= _LONGEST_VALUE else ""

    return _VARIABLE.sub(value, text)


def arguments(dockerfile: Dockerfile, given: Mapping[str, str]) -> dict[str, str]:
    """Return the values of the arguments before the first FROM."""
    values: dict[str, str] = {}
    for instruction in dockerfile.first_arguments:
        for word in instruction.text.split():
            name, _, default = word.partition("=")
            values[name] = given.get(name, expand(default.strip("\"'"), values))
    return values


def _instruction(line: int, text: str) -> Instruction:
    name, rest = (*text.split(None, 1), "", "")[:2]
    flags: list[tuple[str, str]] = []
    end = 0
    while found := _FLAG.match(rest, end):
        flags.append((found["name"], (found["value"] or "").strip("\"'")))
        end = found.end()
    rest = rest[end:]
    heredocs: tuple[Heredoc, ...] = ()
    if name.upper() in _WITH_HEREDOCS and not rest.startswith("["):
        heredocs = tuple(Heredoc(found["word"], bool(found["dash"])) for found in _HEREDOC.finditer(rest))
    return Instruction(line, name.upper(), rest.strip(), tuple(flags), heredocs)


def _options(mount: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in mount.split(","))
    return {key.strip().lower(): value.strip("\"'") for key, _, value in pairs}


def _target(mount: dict[str, str]) -> str:
    return next((mount[key] for key in ("target", "dst", "destination") if key in mount), "")


def _is_comment(line: str) -> bool:
    text = line.strip()
    return not text or text.startswith("#")


def _sources(stage: Stage) -> Iterator[str]:
    """Yield the names of the stages or images that a stage uses."""
    yield stage.base
    for instruction in stage.instructions:
        yield from instruction.sources


def _squeeze(text: str) -> str:
    return " ".join(text.split()).lower()
