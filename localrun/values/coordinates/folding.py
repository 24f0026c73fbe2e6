"""Fold equal problems and warnings of the items of an array to the first few of each kind."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from localrun.errors import Problem

_SHOWN = 3  # of one kind, in full and then by place
_NUMBER = r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?"


def fold_places(first: list[str], count: int) -> str:
    """Return e.g. `nuclei[3], nuclei[17] and 12 more` for the first of `count` places."""
    if count > len(first):
        return f"{', '.join(first)} and {count - len(first)} more"
    return " and ".join(filter(None, (", ".join(first[:-1]), *first[-1:])))


def fold_problems(problems: Iterable[Problem], section: str, names: Collection[str]) -> list[Problem]:
    """Return the problems; of more than `_SHOWN` + 1 equal ones in an array of `names`, the others as one.

    Problems are equal if their messages differ in numbers only.
    """
    kinds: dict[tuple[str, ...], list[Problem]] = {}
    for number, problem in enumerate(problems):
        name, _, _ = problem.path.removeprefix(f"{section}.").partition(".")
        is_item = problem.path != f"{section}.{name}" and name in names
        kind = (name, re.sub(_NUMBER, "0", problem.message)) if is_item else (str(number),)
        kinds.setdefault(kind, []).append(problem)
    return [one for (name, *_), equal in kinds.items() for one in _folded(equal, section, name)]


def _folded(equal: list[Problem], section: str, name: str) -> list[Problem]:
    if len(equal) <= _SHOWN + 1:
        return equal
    shown, others = equal[:_SHOWN], equal[_SHOWN:]
    places = fold_places([_place(one.path, section) for one in others[:_SHOWN]], len(others))
    message = f"{places}: the same problem as {_place(shown[0].path, section)}"
    return [*shown, Problem(f"{section}.{name}", message, shown[0].remedy)]


def fold_warnings(warnings: Iterable[str], section: str) -> list[str]:
    """Return the warnings; of more than `_SHOWN` + 1 equal ones on items of an array, the others as one."""
    warnings = list(warnings)
    if len(warnings) <= _SHOWN + 1:
        return warnings
    item = re.compile(rf"(.*?)({section}\.\w+)((?:\.[0-9]+)+)\b(.*)", re.DOTALL)
    kinds: dict[tuple[str, ...], list[tuple[str, str]]] = {}
    for number, warning in enumerate(warnings):
        found = item.match(warning)
        kind = (found[1], found[2], re.sub(_NUMBER, "0", found[4])) if found else (str(number),)
        kinds.setdefault(kind, []).append((warning, found[2] + found[3] if found else ""))
    folded: list[str] = []
    for (head, *rest), equal in kinds.items():
        shown = len(equal) if len(equal) <= _SHOWN + 1 else _SHOWN
        folded += [warning for warning, _ in equal[:shown]]
        places = [_place(path, section) for _, path in equal[shown : shown + _SHOWN]]
        if places:
            others = fold_places(places, len(equal) - shown)
            folded.append(f"{head}{rest[0]}: {others}: the same as {_place(equal[0][1], section)}")
    return folded


def _place(path: str, section: str) -> str:
    """Return e.g. `nuclei[3]` for the path `outputs.nuclei.3.coordinates.0`."""
    name, *rest = path.removeprefix(f"{section}.").split(".")
    index = []
    for part in rest:
        if not part.isdigit():
            break
        index.append(f"[{part}]")
    return name + "".join(index)
