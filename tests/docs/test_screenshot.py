"""The picture of the README shows what a terminal shows today."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.samples import remove_new_images

ROOT = Path(__file__).parents[2]

sys.path.insert(0, str(ROOT / "docs"))
screenshot: Any = importlib.import_module("screenshot")


@pytest.mark.docker
def test_the_picture_shows_what_the_commands_print(tmp_path: Path) -> None:
    # When the commands are run once more
    with remove_new_images(tmp_path / ".localrun"):
        drawn = screenshot.svg(screenshot.show(tmp_path))

    # Then the terminal says the same, but for times and ids
    found, kept = (screenshot.text_of(picture) for picture in (drawn, screenshot.PICTURE.read_text()))
    assert found == kept, "run `make screenshot`"


def test_the_picture_loads_nothing() -> None:
    picture = screenshot.PICTURE.read_text()
    assert picture.count("http") == picture.count('xmlns="http://www.w3.org/2000/svg"') == 1
    assert "<script" not in picture


def test_the_picture_of_another_run_is_told_apart() -> None:
    picture = screenshot.PICTURE.read_text()
    assert screenshot.text_of(picture) != screenshot.text_of(picture.replace("FINISHED", "FAILED"))
