"""The Python interface, from signatures, docstrings and the comments of fields."""

from __future__ import annotations

import ast
import inspect
import io
import re
import tokenize
from collections.abc import Callable, Iterator
from typing import Any

import localrun
from localrun import errors
from localrun.api.events import TaskEvents
from localrun.batch.results import BatchResults, ResultLine
from localrun.server.client.answers import Answer
from localrun.server.client.batches import ServedBatch
from localrun.server.client.served_task import ServedTask
from localrun.task import record
from localrun.task.events import Event
from localrun.task.frozen import Frozen
from localrun.task.record import TaskRecord
from localrun.values.listing import FileEntry

from chapters.page import Page, code, sentence

_FUNCTIONS = (
    *(localrun.run, localrun.submit, localrun.map, localrun.tasks, localrun.wait_all, localrun.using),
)
_OBJECTS = (Event, TaskEvents, FileEntry)
_PARTS = (  # of a record, from the most to the least used
    *(record.Resources, record.StepRecord, record.UsageRecord, record.RunPlan, record.StoredOptions),
    *(record.ProcessId, record.Replica, record.Replication, record.ReplicaGroup, record.Disagreement),
    *(record.Variant, record.Crop),
)


def page() -> Page:
    """Return the page of functions, the task handle, the client, records and exceptions."""
    made = Page(
        "Python",
        "The names of the package `localrun`, with their docstrings. [The guide](../python.md) explains how "
        "to use them. [Another page](../pytest.md) is about the pytest plugin.",
    )
    made.head("Functions")
    for function in _FUNCTIONS:
        _callable(made, function.__name__, function)
    one: type
    _class(made, "Task", localrun.Task, "The class `localrun.Task`")
    _class(made, "Batch", localrun.Batch, "`localrun.map` returns a")
    for one in (ResultLine, BatchResults):
        _class(made, one.__name__, one, "")
    _class(made, "Client", localrun.Client, "The class `localrun.Client`")
    for one in (ServedTask, ServedBatch, Answer):
        _class(made, one.__name__, one, "")
    made.head("TaskRecord")
    made.prose("`task.info` returns a `TaskRecord`; `task.json` in the folder of a task is the same as JSON.")
    _record(made, TaskRecord)
    for one in _PARTS:
        made.head(one.__name__, 3)
        _record(made, one)
    for one in _OBJECTS:
        _class(made, one.__name__, one, "")
    made.head("Exceptions")
    made.prose("All are in `localrun.errors`, except `localrun.TaskFailed`.")
    made.table(["exception", "meaning"], [[code(one.__name__), _text(one)] for one in _exceptions()])
    return made


def _class(made: Page, name: str, kind: type, intro: str) -> None:
    made.head(name)
    if intro:
        made.prose(f"{intro}: `{name}{_signature(kind)}`")
    made.prose(_text(kind))
    fields = dict(_fields(kind))
    made.table(["field", "type", "meaning"], [[code(each), *about] for each, about in fields.items()])
    properties = [(each, found) for each, found in _members(kind) if isinstance(found, property)]
    made.table(
        ["property", "type", "meaning"],
        [
            [code(each), code(_annotation(found.fget)), sentence(_text(found))]
            for each, found in properties
            if each not in fields
        ],
    )
    for each, found in _members(kind):
        if inspect.isfunction(found):
            _callable(made, f"{name}.{each}", found)


def _callable(made: Page, name: str, function: Callable[..., Any]) -> None:
    made.head(name, 3)
    made.code(f"{name}{_signature(function)}", "python")
    made.prose(_text(function))


def _record(made: Page, kind: type) -> None:
    made.prose(_text(kind))
    rows = []
    for name, (annotation, meaning) in _fields(kind):
        key = _json_key(kind, name)
        note = f" In JSON: `{key}`." if key != name else ""
        rows.append([code(name), annotation, sentence(meaning) + note])
    made.table(["field", "type", "meaning"], rows)
    properties = [(name, found) for name, found in _members(kind) if isinstance(found, property)]
    made.table(
        ["property", "type", "meaning"],
        [[code(name), code(_annotation(found.fget)), sentence(_text(found))] for name, found in properties],
    )


def _json_key(kind: type, name: str) -> str:
    names = dict(zip(kind.__struct_fields__, kind.__struct_encode_fields__, strict=True))  # type: ignore[attr-defined]
    return str(names.get(name, name))


def _members(kind: type) -> Iterator[tuple[str, Any]]:
    """Yield the public members of a class and its bases in this package, each once, in their order."""
    seen: set[str] = set()
    for one in kind.__mro__:
        if not one.__module__.startswith("localrun.") or one is Frozen:
            continue
        for name, found in vars(one).items():
            if (
                not name.startswith("_")
                and name not in seen
                and inspect.getdoc(found)
                and not _is_inner(name)
            ):
                seen.add(name)
                yield name, found


def _is_inner(name: str) -> bool:
    return name in {"left_line", "end"}


def _fields(kind: type) -> Iterator[tuple[str, list[str]]]:
    """Yield the fields of a class with type and meaning, which is the comment after the field."""
    source = inspect.getsource(kind)
    comments = _comments(source)
    (body,) = ast.parse(source).body
    assert isinstance(body, ast.ClassDef)
    for node in body.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            annotation = code(ast.unparse(node.annotation))
            yield node.target.id, [annotation, sentence(comments.get(node.end_lineno or 0, ""))]


def _comments(source: str) -> dict[int, str]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {one.start[0]: one.string.lstrip("#: ") for one in tokens if one.type == tokenize.COMMENT}


def _signature(function: Callable[..., Any]) -> str:
    """Return the parameters and the result, one parameter a line if they are long."""
    found = inspect.signature(function)
    parameters = [one for one in found.parameters.values() if one.name != "self"]
    text = str(found.replace(parameters=parameters)).replace("'", "")
    if len(text) < 90:
        return text
    head, _, result = text.rpartition(") -> ")
    parts = re.split(r", (?![^\[(]*[\])])", head[1:])
    return "(\n" + "".join(f"    {part},\n" for part in parts) + f") -> {result}"


def _annotation(function: Any) -> str:
    return str(inspect.signature(function).return_annotation).strip("'")


def _text(found: Any) -> str:
    text = inspect.getdoc(found) or ""
    return re.sub(r"\n(?!\n)", " ", text.replace("\n\n", "\0")).replace("\0", "\n\n")


def _exceptions() -> Iterator[type]:
    yield localrun.TaskFailed
    for found in vars(errors).values():
        if inspect.isclass(found) and issubclass(found, errors.LocalrunError):
            yield found
