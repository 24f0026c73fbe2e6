"""Draw docs/assets/run.svg: a terminal with two real runs, one that succeeds and one that fails.

`make screenshot` calls it. It needs a Docker engine and the base image of the samples (`make base`). Only
times and ids differ from run to run; the fastest run of each command is drawn.
"""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from html import unescape
from io import StringIO
from itertools import groupby
from pathlib import Path

import pyte
from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.style import Style
from rich.terminal_theme import TerminalTheme
from rich.text import Text

ROOT = Path(__file__).parent.parent
PICTURE = ROOT / "docs/assets/run.svg"
BASE_IMAGE = os.environ.get("BASE_IMAGE", "localrun-base/python")
COLUMNS, LINES = 100, 80
COMMANDS = (
    "localrun run cells.zip -i image=@cells.png -o results",
    "localrun run cells.zip -i image=@truncated.png",
)
RUNS = 7  # of each command, since the first ones load the image and warm up caches
TIMEOUT = 120  # seconds without output
_COLOURS = {"brown": "yellow"}  # what pyte calls it, and what rich does
_THEME = TerminalTheme(
    (30, 32, 38),
    (214, 218, 224),
    [
        *((74, 78, 88), (240, 104, 104), (104, 200, 130), (229, 192, 93)),
        *((97, 160, 240), (198, 120, 221), (86, 182, 194), (214, 218, 224)),
    ],
)


def main() -> int:
    """Draw the picture and return the exit code."""
    with tempfile.TemporaryDirectory(prefix="localrun-screenshot-") as folder:
        PICTURE.write_text(svg(show(Path(folder), runs=RUNS)))
    print(PICTURE.relative_to(ROOT))
    return 0


def show(folder: Path, commands: Sequence[str] = COMMANDS, runs: int = 1) -> pyte.Screen:
    """Return the screen of a terminal with the fastest of `runs` runs of each command in an empty folder."""
    screen = pyte.Screen(COLUMNS, LINES)
    stream = pyte.ByteStream(screen)
    _prepare(folder)
    for number, command in enumerate(commands):
        prompt = f"\x1b[1;32m$\x1b[0m \x1b[1m{command}\x1b[0m"
        stream.feed(("\r\n" * bool(number) + f"{prompt}\r\n").encode())
        _, output = min(_run(command, folder) for _ in range(runs))
        stream.feed(output)
    return screen


def _prepare(folder: Path) -> None:
    """Create a bundle, an input image, and a truncated one."""
    cells = ROOT / "samples/count-cells"
    shutil.copy(cells / "cells.png", folder)
    (folder / "truncated.png").write_bytes((cells / "cells.png").read_bytes()[:3000])
    build = [*_LOCALRUN, "build", str(cells), "-o", "cells.zip", "--build-arg", f"BASE_IMAGE={BASE_IMAGE}"]
    subprocess.run(build, cwd=folder, env=_environment(folder), capture_output=True, check=True)


_LOCALRUN = [sys.executable, "-m", "localrun"]


def _environment(folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LOCALRUN_")}
    kept.pop("NO_COLOR", None)
    places = {"LOCALRUN_CACHE": str(folder / ".cache"), "LOCALRUN_LEDGER": str(folder / ".ledger" / "l.json")}
    own = {**places, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}
    return {**kept, **own, "PYTHONPATH": str(ROOT), "COLUMNS": str(COLUMNS), "LINES": str(LINES)}


def _run(command: str, folder: Path) -> tuple[float, bytes]:
    """Run a command on a terminal of its own. Return its duration in seconds and its output."""
    shutil.rmtree(folder / "results", ignore_errors=True)
    master, slave = pty.openpty()
    program = [*_LOCALRUN, *command.split()[1:]]
    output = []
    started = time.monotonic()
    with subprocess.Popen(
        program, cwd=folder, env=_environment(folder), stdin=slave, stdout=slave, stderr=slave
    ) as process:
        os.close(slave)
        try:
            while data := _read(master):
                output.append(data)
        finally:
            process.kill()
            os.close(master)
    return time.monotonic() - started, b"".join(output)


def _read(terminal: int) -> bytes:
    """Return the next output, or nothing at its end."""
    ready, _, _ = select.select([terminal], [], [], TIMEOUT)
    if not ready:
        raise TimeoutError(f"no output for {TIMEOUT} s")
    try:
        return os.read(terminal, 65536)
    except OSError:  # Linux: the other end was closed
        return b""


def svg(screen: pyte.Screen) -> str:
    """Return the screen as an SVG image that needs no font of its own."""
    console = Console(record=True, width=COLUMNS, file=StringIO(), color_system="truecolor")
    for line in _lines(screen):
        console.print(line, no_wrap=True, crop=False)
    form = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    form = form.replace("Fira Code, monospace", "ui-monospace, 'DejaVu Sans Mono', Menlo, monospace")
    form = form.replace("<!-- Generated with Rich https://www.textualize.io -->", "")
    made = console.export_svg(title="localrun", theme=_THEME, code_format=form, unique_id="run")
    return re.sub(r"[ \t]+$", "", made, flags=re.MULTILINE)


def _lines(screen: pyte.Screen) -> list[Text]:
    rows = [_line(screen, number) for number in range(screen.lines)]
    while rows and not rows[-1].plain:
        rows.pop()
    return rows


def _line(screen: pyte.Screen, number: int) -> Text:
    cells = (screen.buffer[number][column] for column in range(screen.columns))
    line = Text()
    for style, run in groupby(cells, key=_style):
        line.append("".join(cell.data for cell in run), style)
    line.rstrip()
    return line


def _style(cell: pyte.screens.Char) -> Style:
    colour = None if cell.fg == "default" else _COLOURS.get(cell.fg, cell.fg)
    return Style(color=colour, bold=cell.bold)


def text_of(picture: str) -> str:
    """What stands in a picture but for blanks, and for what differs from run to run and from user to user."""
    words = " ".join(re.findall(r'<text class="run-r\d+"[^>]*>([^<]*)</text>', picture))
    text = unescape(words).replace("\xa0", " ")
    text = re.sub(
        r"mounted; (read as root|already owned by this user|changed the owner of \d+ entries)", "", text
    )
    text = re.sub(r"\btime +\d.*?(?= folder )", "TIMES", text, flags=re.DOTALL)
    text = re.sub(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b[0-9a-f]{8}\b", "ID", text)
    return "".join(re.sub(r"\b\d+(\.\d+)? m?s\b", "TIME", text).split())


if __name__ == "__main__":
    sys.exit(main())
