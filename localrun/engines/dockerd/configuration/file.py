"""Docker's `config.json`: what is wrong with it is a warning, and the rest of it is used."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, TypeVar

from localrun import fs

Value = TypeVar("Value")

# what code that expects another content may raise; RuntimeError: too deep, or docker-py's StoreError
UNREADABLE = (ArithmeticError, AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError)
_BYTE_ORDER_MARK = "\ufeff"
_KINDS: dict[str, tuple[type, str]] = {
    "auths": (dict, "an object"),
    "cliPluginsExtraDirs": (list, "a list"),
    "credHelpers": (dict, "an object"),
    "credsStore": (str, "a string"),
    "currentContext": (str, "a string"),
    "proxies": (dict, "an object"),
}


class ConfigFile:
    """The content of `config.json` in docker's folder, read once. `problems` are sentences for warnings.

    A missing file is like an empty one. Never raises.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(os.path.expanduser(folder))  # noqa: PTH111 - Path.expanduser raises without a home
        self.path = self.folder / "config.json"
        self.problems: list[str] = []
        self.content = self._read()
        for name, (kind, text) in _KINDS.items():
            found = self.content.get(name)
            if found is not None and not isinstance(found, kind):
                self.ignore(f"{name} must be {text}")
                del self.content[name]

    def get(self, name: str, kind: type[Value]) -> Value:
        """Return a value, or the empty one of its kind if it is missing, null or of another kind."""
        found = self.content.get(name)
        return found if isinstance(found, kind) else kind()

    def ignore(self, reason: str) -> None:
        """Note a problem with a part of the file. The reason must not contain a credential."""
        problem = f"ignored a part of docker's configuration {self.path}: {reason}"
        if problem not in self.problems:
            self.problems.append(problem)

    def _read(self) -> dict[str, Any]:
        try:
            text = fs.read_regular(self.path).decode()
            if text.startswith(_BYTE_ORDER_MARK):
                raise ValueError("it starts with a byte order mark")
            found = json.loads(text)
            if not isinstance(found, dict):
                raise TypeError(f"expected an object, got {json.dumps(found):.40}")
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except UNREADABLE as error:
            self.problems.append(f"ignored docker's configuration {self.path}: {_reason(error)}")
            return {}
        return found


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start} is not UTF-8"
    if isinstance(error, json.JSONDecodeError):
        return f"invalid JSON: {error}"
    return str(error)
