"""The web page below `/ui/`, and where browsers find it."""

from __future__ import annotations

import anyio.to_thread
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from localrun.server.page.assets import PAGE_HEADERS
from localrun.server.rejection import accepts_html
from localrun.server.routes.base import StrictRoute
from localrun.server.state import get_state

router = APIRouter(route_class=StrictRoute)


async def get_root(request: Request) -> Response:
    """Lead browsers to the web page, and other clients to the documentation."""
    return RedirectResponse("/ui/" if accepts_html(request.headers) else "/docs", headers={"Vary": "Accept"})


async def get_page_folder(_: Request) -> Response:
    return RedirectResponse("/ui/", 308, PAGE_HEADERS)


async def get_page(request: Request) -> Response:
    """Return a file of the page, or the page itself for each of its views."""
    page, path = get_state(request).page, request.path_params["path"]
    return await anyio.to_thread.run_sync(page.respond, path, request.headers)


# for browsers: any query is accepted
for _path, _answer in (("/", get_root), ("/ui", get_page_folder), ("/ui/{path:path}", get_page)):
    router.add_route(_path, _answer, methods=["GET"], include_in_schema=False)
