"""Sessions of the web page: codes that give a browser the token, and tickets for downloads."""

from __future__ import annotations

import time

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from localrun._version import __version__
from localrun.server import request_body
from localrun.server.page import models
from localrun.server.page.sessions import CODE_SECONDS, TICKET_SECONDS
from localrun.server.rejection import Rejection
from localrun.server.responses import json_response
from localrun.server.routes.base import StrictRoute, json_body, responses
from localrun.server.state import get_state

router = APIRouter(route_class=StrictRoute, tags=["session"])


@router.get("/session", summary="Get what a page needs to know", responses=responses(models.Session))
async def get_session(request: Request) -> Response:
    """Return the version, and whether requests need a token. This request needs none."""
    state = get_state(request)
    is_known = state.sessions.is_authorized(request.headers.get("authorization", ""))
    return json_response(
        {
            "version": __version__,
            "token_required": state.sessions.token is not None,
            "server": state.feed.server,
            "home": state.app.settings.home.resolve().parent.name if is_known else "",
        }
    )


@router.post(
    "/session",
    summary="Exchange a code for the token",
    responses=responses(models.SessionToken),
    openapi_extra=json_body(models.Code),
)
async def post_session(request: Request) -> Response:
    """Return the token for the code of an address that the server or `localrun view` has printed.

    A code works once, within 15 minutes. This request needs no token.
    """
    found = request_body.validate(await request_body.read_json(request), models.Code)
    sessions = get_state(request).sessions
    if sessions.token is not None and not sessions.redeem(found.code):
        hint = "run `localrun view ID` for another one, or enter the token"
        raise Rejection(401, "The code is unknown, used or expired", hint)
    return json_response({"token": sessions.token})


@router.post("/session/codes", summary="Make a code for a browser", responses=responses(models.NewCode))
async def post_code(request: Request) -> Response:
    """Return a code that a page exchanges for the token with `POST /session`."""
    code = get_state(request).sessions.make_code()
    return json_response({"code": code, "expires": time.time() + CODE_SECONDS})


@router.post(
    "/session/tickets",
    summary="Make an address for one download",
    responses=responses(models.Ticket),
    openapi_extra=json_body(models.TicketRequest),
)
async def post_ticket(request: Request) -> Response:
    """Return an address of a task's file that a browser can open once, within a minute, without the token."""
    found = request_body.validate(await request_body.read_json(request), models.TicketRequest)
    sessions = get_state(request).sessions
    url = found.path
    if sessions.token is not None:
        url += f"{'&' if '?' in url else '?'}ticket={sessions.make_ticket(url)}"
    return json_response({"url": url, "expires": time.time() + TICKET_SECONDS})
