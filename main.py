"""The server, as `python main.py` and as the ASGI application `main:app`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send


class LazyApp:
    """The application, made when it is first asked for: importing it must leave no trace on disk."""

    def __init__(self) -> None:
        """Nothing is made yet."""
        self._made: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if self._made is None:
            from localrun.server.standalone import make_app

            self._made = make_app()
        await self._made(scope, receive, send)


app = LazyApp()


if __name__ == "__main__":
    from localrun.cli import main

    sys.exit(main(["serve", *sys.argv[1:]]))
