"""Starts the server: `python main.py`, or the ASGI application `main:app`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Receive, Scope, Send


class LazyApp:
    """An application that is created on the first request, so that importing it writes nothing to disk."""

    def __init__(self, factory: Callable[[], ASGIApp]) -> None:
        self._factory = factory
        self._app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if self._app is None:
            self._app = self._factory()
        await self._app(scope, receive, send)


def _standalone() -> ASGIApp:
    from localrun.server.asgi import make_app
    from modules.routes import task_routes

    return make_app(find_task_manager=lambda: task_routes.task_manager)


app = LazyApp(_standalone)


if __name__ == "__main__":
    remedy = "run `make venv`, then `.venv/bin/python main.py`"
    if sys.version_info < (3, 11):  # noqa: UP036 - of the Python that runs it
        sys.exit(f"error: localrun needs Python 3.11 or newer; {remedy}")
    try:
        import localrun.server.asgi  # noqa: F401 - all that the server needs
        from localrun.cli import main
    except ImportError as error:
        from localrun.errors import missing_package

        sys.exit(missing_package(error, sys.executable, remedy))

    sys.exit(main(["serve", *sys.argv[1:]]))
