"""The course of a task as an SVG chart: states, steps, CPU and memory on one time axis."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from localrun.report.page.markup import Markup, join, tag
from localrun.units import format_bytes, format_duration

_WIDTH, _LEFT, _RIGHT = 960, 90, 20  # pixels
_ROW, _PLOT = 22, 90  # heights
_TICKS = (0.001, 0.01, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 86400)

Fields = dict[str, Any]
Scale = Callable[[float], float]


def draw(view: Fields) -> Markup:
    """Return the chart of a task view; nothing for a task without times."""
    course, usage = view["timeline"], view["usage"]
    start = course["start"]
    if not start:
        return Markup()
    end = max(course["end"] or course["now"], start + 0.001, *_times(view))
    scale = _scale(start, end)
    samples = [one for one in usage["samples"] if start <= one["time"] <= end]
    rows: list[tuple[str, float, Markup]] = [
        ("states", _ROW, _bars(course["states"], "state", scale, end)),
        ("steps", _ROW, _bars(course["steps"], "name", scale, end)),
    ]
    if len(samples) > 1:
        memory = usage["memory_limit"]
        top = max(1.0, *(one["cpus"] or 0 for one in samples), usage["cpus"])
        rows.append((f"CPUs\n{top:g}", _PLOT, _plot(samples, "cpus", scale, top, usage["cpus"])))
        most = max(1.0, *(one["memory"] for one in samples), memory)
        rows.append((f"memory\n{format_bytes(most)}", _PLOT, _plot(samples, "memory", scale, most, memory)))
    height = sum(size + 8 for _, size, _ in rows) + 24
    marks = _marks(course["marks"], scale, height - 24)
    body, top_of = [], 0.0
    for label, size, drawn in rows:
        body.append(_label(label, top_of))
        body.append(tag("g", drawn, transform=f"translate(0 {top_of:g})"))
        top_of += size + 8
    title = f"timeline: {format_duration(end - start)}"
    return tag(
        "svg",
        tag("title", title),
        *body,
        marks,
        _axis(end - start, scale, start, height),
        viewBox=f"0 0 {_WIDTH} {height:g}",
        class_="chart",
        role="img",
        aria_label=title,
    )


def _times(view: Fields) -> Iterator[float]:
    course = view["timeline"]
    yield 0.0
    yield from (step["end"] for step in course["steps"] if step["end"])
    if course["end"] is None:
        yield from (sample["time"] for sample in view["usage"]["samples"][-1:])


def _scale(start: float, end: float) -> Scale:
    return lambda time: (
        _LEFT + (min(max(time, start), end) - start) / (end - start) * (_WIDTH - _LEFT - _RIGHT)
    )


def _label(label: str, top: float) -> Markup:
    lines = [
        tag("tspan", line, x=0, dy="1.1em" if number else 0) for number, line in enumerate(label.split("\n"))
    ]
    return tag("text", *lines, x=0, y=f"{top + 15:g}", class_="label")


def _bars(parts: list[Fields], key: str, scale: Scale, end: float) -> Markup:
    found = []
    for part in parts:
        if part["start"] is None:
            continue
        left, right = scale(part["start"]), scale(part["end"] or end)
        width = max(right - left, 1.5)
        took = format_duration(max(0.0, (part["end"] or end) - part["start"]))
        name = str(part[key])
        hover = tag("title", f"{name}: {took}")
        bar = tag(
            "rect", hover, x=f"{left:.1f}", y=2, width=f"{width:.1f}", height=_ROW - 4, class_=f"bar {name}"
        )
        shown = tag("text", name, x=f"{left + 4:.1f}", y=15) if width > 8 * len(name) + 8 else None
        found.append(join(bar, shown))
    return join(*found)


def _plot(samples: list[Fields], key: str, scale: Scale, top: float, limit: float) -> Markup:
    def place(value: float) -> float:
        return _PLOT - value / top * (_PLOT - 4)

    known = [(scale(one["time"]), place(one[key])) for one in samples if one[key] is not None]
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in known)
    at = f"{place(min(limit, top)):.1f}"
    return join(
        tag("rect", x=_LEFT, y=0, width=_WIDTH - _LEFT - _RIGHT, height=_PLOT, class_="plot"),
        tag("line", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=at, y2=at, class_="limit"),
        tag("polyline", points=points, class_=f"line {key}"),
    )


def _marks(marks: list[Fields], scale: Scale, height: float) -> Markup:
    return join(
        tag(
            "line",
            tag("title", mark["message"]),
            x1=f"{scale(mark['time']):.1f}",
            x2=f"{scale(mark['time']):.1f}",
            y1=0,
            y2=height,
            class_=f"mark {mark['kind']}",
        )
        for mark in marks[:500]
    )


def _axis(seconds: float, scale: Scale, start: float, height: float) -> Markup:
    step = next((tick for tick in _TICKS if seconds / tick <= 10), seconds / 8)
    ticks = [
        tag("text", f"+{_short(number * step)}", x=f"{scale(start + number * step):.1f}", y=height - 6)
        for number in range(int(seconds / step) + 1)
    ]
    return tag("g", *ticks, class_="axis")


def _short(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:g} s"
    return f"{seconds / 60:g} min" if seconds < 7200 else f"{seconds / 3600:g} h"
