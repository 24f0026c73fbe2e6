"""A few hostile inputs for each parser; `make attack` tries many more."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.attack.__main__ import main
from tests.attack.fuzz import Result, _parse, attack
from tests.attack.parsers import Parser, make_parsers

NAMES = (
    *("descriptor", "bundle zip", "image archive", "image layers", "Dockerfile", ".dockerignore"),
    *("values as JSON", "values as YAML", "geometry", "array.yml", "image header", "image pixels", "GeoJSON"),
    *(
        "sizes and durations",
        "task.json",
        "task record",
        "events.jsonl",
        "metadata",
        "secrets",
        "export",
        "journal",
        "log positions",
    ),
)


@pytest.mark.parametrize("name", NAMES)
def test_hostile_input_is_refused_in_time_with_a_typed_error(tmp_path: Path, name: str) -> None:
    found = attack(make_parsers(tmp_path)[name], 15, seed=7)
    assert found.refused < found.inputs  # the seeds are valid
    assert not found.failures, found.failures[0]


def test_each_parser_is_attacked(tmp_path: Path) -> None:
    assert set(make_parsers(tmp_path)) == set(NAMES)


def test_an_unexpected_error_is_a_failure() -> None:
    result = Result()
    _parse(Parser(lambda data, _: int(data), (b"1",)), b"x", result)
    assert "ValueError" in result.failures[0][1]


def test_make_attack_prints_the_figures_of_each_parser(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["tests.attack", "--inputs", "3", "metadata", "array.yml"])
    assert main() == 0
    heads, *lines = capsys.readouterr().out.splitlines()
    assert heads.split() == ["parser", "inputs", "refused", "worst", "failures"]
    assert [line.split()[:2] for line in lines] == [["metadata", "3"], ["array.yml", "3"]]
    makefile = (Path(__file__).parents[2] / "Makefile").read_text()
    assert "-m tests.attack --inputs $(ATTACK_INPUTS)" in makefile
