"""The output of `docker build --progress=plain`: the steps, their logs and the final error."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field

from localrun.engines.base import Progress

LAST_LINES = 10
_LINE = re.compile(r"#(?P<number>\d+) (?P<text>.*)")
_STEP = re.compile(r"\[(?:\S+ +)?(?P<done>\d{1,6})/(?P<total>\d{1,6})\] (?P<what>.*)")
_LOG = re.compile(r"\d+\.\d+ ?(?P<text>.*)")
_DONE = re.compile(r"DONE (?P<seconds>\d{1,9}(?:\.\d{0,9})?)s")
_CONTEXT = re.compile(r"transferring context: (?P<size>\d{1,15}(?:\.\d{0,15})?)(?P<unit>[kMG]?)B.*")
_UNITS = {"": 1, "k": 1000, "M": 1000**2, "G": 1000**3}
_PREFIX = re.compile(
    r"(?:ERROR: |error: |failed to build: |failed to solve: |rpc error: code = \w+ desc = "
    r"|failed to solve with frontend [\w.]+: |failed to create LLB definition: "
    r"|failed to (?:compute|load) cache key: |failed to calculate checksum of ref \S+: )"
)


@dataclass
class Vertex:
    """One numbered part of a build: an instruction, or work of the builder such as loading the context."""

    name: str
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=LAST_LINES))

    @property
    def instruction(self) -> str:
        """The instruction of a step; empty for the builder's own work."""
        found = _STEP.fullmatch(self.name)
        return found["what"] if found else ""


class PlainOutput:
    """Follows the output line by line and reports each step, and its duration when it ends."""

    def __init__(self, progress: Progress) -> None:
        self.failed: Vertex | None = None
        self._progress = progress
        self._vertices: dict[str, Vertex] = {}
        self._reason = ""
        self._last = ""

    @property
    def reason(self) -> str:
        """The builder's error, without the names of its parts."""
        text = self._reason or self._last
        while found := _PREFIX.match(text):
            text = text[found.end() :]
        return text or "no reason given"

    def feed(self, line: str) -> None:
        found = _LINE.fullmatch(line)
        if found:
            self._feed(found["number"], found["text"])
        elif line.startswith("ERROR: "):
            self._reason = line
        elif line.strip() and not line.startswith(("------", "WARNING: ", " > ")):
            self._last = line.strip()

    def _feed(self, number: str, text: str) -> None:
        vertex = self._vertices.get(number)
        if vertex is None:
            self._vertices[number] = vertex = Vertex(text)
            self._report(vertex)
        elif log := _LOG.fullmatch(text):
            if log["text"].strip():
                vertex.lines.append(log["text"])
        elif done := _DONE.fullmatch(text):
            self._report(vertex, f" ({done['seconds']} s)")
        elif text == "CACHED":
            self._report(vertex, " (cached)")
        elif text.startswith("ERROR: "):
            self.failed = vertex
        elif context := _CONTEXT.fullmatch(text):
            self._progress("sending the context", int(float(context["size"]) * _UNITS[context["unit"]]), None)

    def _report(self, vertex: Vertex, ending: str = "") -> None:
        step = _STEP.fullmatch(vertex.name)
        if step:
            self._progress(f"{vertex.name}{ending}", int(step["done"]), int(step["total"]))
        elif vertex.name.startswith("exporting"):
            self._progress(f"{vertex.name}{ending}", 0, None)
        else:  # the callback may raise to end the build
            self._progress("preparing the build", 0, None)
