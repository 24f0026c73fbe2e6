"""The `localrun` command."""

from localrun.cli.entry import main

__all__ = ["main"]
