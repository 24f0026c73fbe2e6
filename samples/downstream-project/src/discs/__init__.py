"""Discs of many sizes, drawn by the task of the project."""

from discs.series import Disc, draw, growing, survey

__all__ = ["Disc", "draw", "growing", "survey"]
