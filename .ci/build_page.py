"""A build hook of hatchling: builds the web page for the wheel and the sdist, if Node is available."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_TIMEOUT = 900  # seconds, with the download of its packages


class PageBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Builds the page unless it is there. Without Node, the package works without the page."""

    def initialize(self, version: str, _build_data: dict[str, Any]) -> None:
        if version == "editable":  # `make ui` builds it
            return
        problem = self._build()
        if problem and not self._page.is_file():
            self.app.display_warning(f"warning: the package has no web page: {problem}")
            self.app.display_warning("hint: install Node 20.19 or newer, run `make ui`, and build it again")

    @property
    def _page(self) -> Path:
        return Path(self.root, "localrun/server/ui/assets/index.html")

    def _build(self) -> str:
        """Build the page if its sources have changed; return why that is not possible, or an empty string."""
        script = Path(self.root, ".ci/ui")
        if not Path(self.root, "localrun/server/ui/package.json").is_file() or not script.is_file():
            return "there are no sources of it"
        if any(shutil.which(tool) is None for tool in ("bash", "node", "npm")):
            return "Node is not installed"
        try:
            done = subprocess.run(
                [str(script)], cwd=self.root, capture_output=True, text=True, timeout=_TIMEOUT, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
        lines = (done.stderr or done.stdout).strip().splitlines()
        return "" if done.returncode == 0 else (lines or ["its build failed"])[0]
