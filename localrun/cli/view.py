"""`localrun view`: show a task in the web page."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

import click

from localrun.cli import options
from localrun.cli.context import CliContext, pass_context
from localrun.cli.exit_codes import ExitCode
from localrun.cli.serve import open_browser, serve_until_signal, url_of
from localrun.console.streams import print_out

if TYPE_CHECKING:
    import threading

    from localrun.server.page.registration import RunningServer

_TIMEOUT = 10.0  # seconds for a running server to answer


@click.command()
@options.task_id
@options.flag("--no-open", help="Print the address without opening a browser.")
@pass_context
def command(context: CliContext, task_id: str, *, no_open: bool) -> int:
    """Show the task ID in a browser: its timeline, log, inputs and outputs.

    The page is that of a server that runs in this folder. If there is none, a server of its own runs until
    Ctrl+C. It is for this user only, takes over no tasks, and ends none.
    """
    from localrun import settings
    from localrun.server.page.registration import running_servers

    loaded = settings.load(context.environ, home=context.home)
    app = context.make_app(loaded)
    record = app.find(task_id)[1]
    for server in running_servers(loaded.home):
        code = _request_code(server)
        if code is not None:
            app.close()
            thread = _show(f"{server.url}/ui/task/{record.id}#code={code}", no_open=no_open)
            if thread is not None:
                thread.join(_TIMEOUT)
            return ExitCode.FINISHED
    app.close()
    return _serve(context, record.id, loaded.home, no_open=no_open)


def _show(address: str, *, no_open: bool) -> threading.Thread | None:
    """Print an address and open it; return the thread that does so."""
    print_out(f"{address} (the code works once, within 15 minutes)")
    return None if no_open else open_browser(address)


def _request_code(server: RunningServer) -> str | None:
    """Return a code for a page of a running server; None if it does not answer."""
    from urllib.error import URLError
    from urllib.request import ProxyHandler, Request, build_opener

    request = Request(f"{server.url}/session/codes", method="POST")  # noqa: S310 - of the user's own file
    request.add_header("Authorization", f"Bearer {server.key}")
    try:
        with build_opener(ProxyHandler({})).open(request, timeout=_TIMEOUT) as response:
            return str(json.load(response)["code"])
    except (URLError, OSError, ValueError, KeyError):
        return None


def _serve(context: CliContext, task_id: str, home: Path, *, no_open: bool) -> int:
    from localrun import settings
    from localrun.server.config import ServerOptions
    from localrun.server.sockets import listen
    from localrun.server.state import ServerState

    # other users of the machine can reach its port, so it needs a token; its journal is not the project's
    chosen = ServerOptions(
        port=0, token=secrets.token_urlsafe(32), bundles=(Path.cwd(),), on_exit="leave", adopts=False
    )
    loaded = settings.load(context.environ, home=context.home, logs=str(home / "view"))
    site = ServerState(context.make_app(loaded), chosen)
    sockets = listen(chosen.host, chosen.port)
    try:
        _show(f"{url_of(sockets)}/ui/task/{task_id}#code={site.sessions.make_code()}", no_open=no_open)
        print_out("press Ctrl+C to stop")
        serve_until_signal(context, site, sockets)
    finally:
        for each in sockets:
            each.close()
    return ExitCode.FINISHED
