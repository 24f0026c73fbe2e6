"""The server, as `python main.py` and as the ASGI application `main:app`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Receive, Scope, Send


class LazyApp:
    """The application, made when it is first asked for: importing it must leave no trace on disk."""

    def __init__(self, make: Callable[[], ASGIApp]) -> None:
        self._make = make
        self._made: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if self._made is None:
            self._made = self._make()
        await self._made(scope, receive, send)


def _standalone() -> ASGIApp:
    from localrun.server.asgi import make_app

    return make_app()


app = LazyApp(_standalone)


if __name__ == "__main__":
    from localrun.cli import main

    sys.exit(main(["serve", *sys.argv[1:]]))
