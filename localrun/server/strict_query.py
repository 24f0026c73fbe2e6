"""Rejects unknown and repeated query parameters, which would be ignored silently."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from inspect import isclass
from typing import Any

from fastapi._compat import ModelField
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.requests import Request

from localrun.suggestions import did_you_mean
from localrun.units import format_count

_MAX_REPORTED = 20


def query_names(dependant: Dependant) -> frozenset[str]:
    """Return the names of the query parameters of a route."""
    names: set[str] = set()
    for field in dependant.query_params:
        model = _model_of(field)
        if model is not None:
            names |= {inner.alias or name for name, inner in model.model_fields.items()}
        else:
            names.add(field.alias)
    return frozenset(names)


def query_defaults(dependant: Dependant) -> dict[str, Any] | None:
    """Return the arguments for the query parameters of a request without a query; None if one is required."""
    found: dict[str, Any] = {}
    for field in dependant.query_params:
        model = _model_of(field)
        if any(one.is_required() for one in (model.model_fields.values() if model else [field.field_info])):
            return None
        found[field.name] = model() if model else field.get_default()
    return found


def _model_of(field: ModelField) -> type[BaseModel] | None:
    kind = field.field_info.annotation
    return kind if isclass(kind) and issubclass(kind, BaseModel) else None


def check_query(request: Request, known: Collection[str]) -> None:
    """Raise `RequestValidationError` if the query has other parameters, or one of them twice."""
    if not request.scope["query_string"]:
        return
    problems = list(_problems(request.query_params.multi_items(), sorted(known)))
    if problems:
        shown, more = problems[:_MAX_REPORTED], len(problems) - _MAX_REPORTED
        if more > 0:
            message = f"{format_count(more, 'more query parameter')} like these"
            shown.append({"type": "extra_forbidden", "loc": ("query",), "msg": message, "input": None})
        raise RequestValidationError(shown)


def _problems(items: list[tuple[str, str]], known: list[str]) -> Iterator[dict[str, Any]]:
    values = dict(items)
    for name, count in Counter(name for name, _ in items).items():
        shown = name[:80]
        if name not in known:
            expected = f"expected one of: {', '.join(known)}" if known else "this path has none"
            remedy = did_you_mean(name, known) or expected
            yield _item("extra_forbidden", shown, f"unknown query parameter {shown!r}", remedy, values[name])
        elif count > 1:
            message = f"query parameter {name!r} is set {count} times"
            yield _item("repeated", shown, message, "set it once", values[name])


def _item(kind: str, name: str, message: str, remedy: str, value: str) -> dict[str, Any]:
    return {
        "type": kind,
        "loc": ("query", name),
        "msg": f"{message}; {remedy}",
        "input": value[:80],
        "ctx": {"error": message, "remedy": remedy},
    }
