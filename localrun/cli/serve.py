"""`localrun serve`: run the HTTP server."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from localrun.cli import options
from localrun.cli.context import CliContext, pass_context
from localrun.cli.exit_codes import ExitCode
from localrun.console.streams import print_err, print_out
from localrun.errors import EngineError, LocalrunError

if TYPE_CHECKING:
    import socket
    import threading

    from localrun.app import App
    from localrun.server.config import ServerOptions

_RISK = (
    "warning: everyone who can reach {0} can run containers as this user and read the files below --bundles;"
    " bind to an address that only the clients can reach, such as Docker's bridge (--host 172.17.0.1), or"
    " block the port in the firewall"
)
GREETING = "🎯 Task Manager initialized - Global task lists created"


@click.command()
@click.option("--host", metavar="ADDRESS", help="Address to listen on.  [default: 127.0.0.1]")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    metavar="PORT",
    help="Port to listen on; 0 picks a free one.  [default: 8000]",
)
@click.option(
    "--bundles",
    multiple=True,
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of bundles and files that clients may use; repeatable.  [default: .]",
)
@click.option("--logs", type=options.RAW, metavar="DIR", help="Folder of the journal.  [default: logs]")
@click.option(
    "--on-exit",
    type=click.Choice(["leave", "kill", "wait"]),
    help="What to do with running tasks on shutdown.  [default: kill]",
)
@click.option("--token", metavar="TEXT", help="Bearer token required from clients.  [env: LOCALRUN_TOKEN]")
@options.flag(
    "--allow-unauthenticated/--require-token",
    default=None,
    help="Serve other machines without a token, e.g. Cytomine's core.",
)
@click.option(
    "--heartbeat", type=options.DURATION, help="Interval between heartbeat entries.  [default: 30s]"
)
@click.option("--upload-limit", type=options.SIZE, help="Maximum size of an uploaded file.  [default: 8Gi]")
@click.option(
    "--name", "names", multiple=True, metavar="HOST", help="Additional host name of the server; repeatable."
)
@click.option(
    "--api-prefix",
    "api_prefixes",
    multiple=True,
    metavar="PATH",
    help="Prefix of App Engine's API; repeatable.  [default: /app-engine/, /api/]",
)
@click.option(
    "--cluster",
    "clusters",
    multiple=True,
    metavar="ADDRESS",
    help="Dask cluster on which batches may run; repeatable.",
)
@options.flag("--open/--no-open", "opens", default=None, help="Open the web page in a browser.")
@options.flag(
    "--without-engine/--with-engine", default=None, help="Start even if no container engine is available."
)
@pass_context
def command(
    context: CliContext, /, logs: str | None, without_engine: bool | None, opens: bool | None, **given: Any
) -> int:
    """Serve the tasks of this folder over HTTP, with a web page.

    Only this machine can reach the server, unless --host is another address; then clients need a token, and
    the web page gets it with the one-time code in the printed address. With --allow-unauthenticated, everyone
    who can reach the address can run containers and read the files below --bundles.

    Tasks continue when their client disconnects. The page /docs documents the API.
    """
    from localrun import settings
    from localrun.server.config import server_options
    from localrun.server.sockets import listen

    loaded = settings.load(context.environ, home=context.home, logs=logs)
    defaults = loaded.defaults.server
    lenient = defaults.get("without_engine", False) if without_engine is None else without_engine
    opens = defaults.get("open", False) if opens is None else opens
    chosen = server_options(loaded, **given)
    app = context.make_app(loaded)

    try:
        sockets = listen(chosen.host, chosen.port)
    except LocalrunError as error:
        context.report(error)
        return ExitCode.ADDRESS
    try:
        return _start(context, app, chosen, sockets, lenient=lenient, opens=bool(opens))
    finally:
        for each in sockets:
            each.close()


def _start(
    context: CliContext,
    app: App,
    chosen: ServerOptions,
    sockets: list[socket.socket],
    *,
    lenient: bool,
    opens: bool,
) -> int:
    from localrun.server.state import ServerState

    try:
        site = ServerState(app, chosen)
    except LocalrunError as error:
        context.report(error)
        return ExitCode.LOGS
    try:
        app.engine.info()
    except EngineError as error:
        # an explicitly configured engine is required; otherwise tasks without a container still work
        if (app.settings.docker_host or app.settings.docker_context) and not lenient:
            context.report(error)
            return ExitCode.ENGINE_OR_HOST
        print_err(f"warning: {error.message}; container tasks are rejected until an engine is available")
    print_out(GREETING)
    url = url_of(sockets)
    if not chosen.is_loopback and not chosen.token:
        print_err(_RISK.format(chosen.host))
    print_out(f"serving on {url} (API docs: {url}/docs); press Ctrl+C to stop")
    page, note = f"{url}/ui/", ""
    if chosen.token or opens:
        page += f"#code={site.sessions.make_code()}"
        note = " (the code works once, within 15 minutes)"
    print_out(f"web page: {page}{note}")
    if opens:
        open_browser(page)
    serve_until_signal(context, site, sockets)
    return ExitCode.FINISHED


def url_of(sockets: list[socket.socket]) -> str:
    """Return the URL of a server for programs on this machine."""
    host, port = sockets[0].getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def open_browser(url: str) -> threading.Thread:
    """Open a page in the user's browser, in a thread, which is returned."""
    import threading
    import webbrowser

    def open_page() -> None:
        if not webbrowser.open(_reachable(url)):
            print_err("warning: no browser found; open the printed address in one")

    thread = threading.Thread(target=open_page, name="browser", daemon=True)
    thread.start()
    return thread


def _reachable(url: str) -> str:
    """Return a URL that a browser accepts, also of a server that listens on all addresses."""
    return url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")


def serve_until_signal(context: CliContext, site: Any, sockets: list[socket.socket]) -> None:
    """Serve until a signal arrives, then decide about the tasks as the options of the server say."""
    from localrun.server.application import make_api
    from localrun.server.page.registration import registered
    from localrun.server.task_lines import task_lines
    from localrun.server.uvicorn_server import serve

    api = make_api(site)
    context.on_imported()
    address = _reachable(url_of(sockets))
    with registered(site.app.settings.home, address, site.sessions.key), task_lines(site.app.manager):
        serve(api, site, sockets)
    if site.options.on_exit == "leave":
        # the task threads must not see the engine close, and must not be joined: the supervisor resumes
        site.app.hand_over()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(ExitCode.FINISHED)
    site.app.close()
