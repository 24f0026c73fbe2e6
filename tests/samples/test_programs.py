"""The programs of the samples are right: keywords, and waves in a tank."""

from __future__ import annotations

import importlib
import json
import random
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

SAMPLES = Path(__file__).parents[2] / "samples"
sys.path[:0] = [str(SAMPLES / name / "program") for name in ("keywords", "ripple-tank", "count-cells")]

scores: Any = importlib.import_module("scores")
keywords: Any = importlib.import_module("keywords")
tank: Any = importlib.import_module("tank")
ripple_tank: Any = importlib.import_module("ripple_tank")
png: Any = importlib.import_module("png")


# -- keywords ---------------------------------------------------------------------------------------


def best(*texts: str, left_out: str = "", top: int = 3) -> list[list[str]]:
    found = scores.keywords([scores.words(text) for text in texts], frozenset(left_out.split()), top=top)
    return [[one.word for one in text] for text in found]


def test_a_word_that_all_texts_have_comes_after_one_of_this_text_alone() -> None:
    assert best("sea sea moon moon", "sea sea bread bread") == [["moon", "sea"], ["bread", "sea"]]


def test_what_is_there_more_often_comes_first_and_equals_come_by_the_alphabet() -> None:
    assert best("crust dough dough bread") == [["dough", "bread", "crust"]]


def test_letter_case_short_words_and_stop_words_do_not_count() -> None:
    assert best("Bread BREAD is of the flour", left_out="the") == [["bread", "flour"]]


def test_words_of_other_alphabets_and_with_marks_inside_are_words() -> None:
    assert scores.words("Änderung, хлеб; bee-keeper's 12 x_y") == [
        "änderung",
        "хлеб",
        "bee-keeper's",
        "x",
        "y",
    ]


def test_a_text_without_words_has_no_keywords() -> None:
    assert best("", "moon") == [[], ["moon"]]


def given_texts(folder: Path, *texts: bytes) -> tuple[Path, Path]:
    """The folders of a task with these texts."""
    inputs, outputs = folder / "inputs", folder / "outputs"
    (inputs / "texts").mkdir(parents=True)
    outputs.mkdir()
    for number, text in enumerate(texts):
        (inputs / "texts" / str(number)).write_bytes(text)
    (inputs / "texts/array.yml").write_text(f"size: {len(texts)}")
    (inputs / "top").write_text("2")
    return inputs, outputs


def test_texts_are_taken_in_their_order_also_beyond_nine(tmp_path: Path) -> None:
    places = given_texts(tmp_path, *(b"word " * n for n in range(12)))
    assert keywords.main(*places) == 0
    lengths = [int((tmp_path / "outputs/lengths" / str(n)).read_text()) for n in range(12)]
    assert lengths == list(range(12))
    assert (tmp_path / "outputs/keywords/0").read_text() == "-"


def test_stop_words_of_the_user_take_the_place_of_the_usual_ones(tmp_path: Path) -> None:
    places = given_texts(tmp_path, b"the the moon moon moon")
    (tmp_path / "inputs/stop_words").write_text("Moon")
    assert keywords.main(*places) == 0
    assert (tmp_path / "outputs/keywords/0").read_text() == "the"


def test_a_text_that_is_not_in_utf8_fails_the_task_with_a_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert keywords.main(*given_texts(tmp_path, b"caf\xe9 noir")) == 1
    assert "not in UTF-8" in capsys.readouterr().err


# -- the ripple tank --------------------------------------------------------------------------------


def brightness(*slits: float, steps: int = 360, wavelength: float = 8) -> list[float]:
    """How much the far side of a tank moves."""
    made = tank.Tank(ripple_tank.WIDTH, ripple_tank.HEIGHT, wavelength, fade=ripple_tank.FADE)
    made.build_wall(ripple_tank.WALL, slits, width=ripple_tank.SLIT)
    moved = [0.0] * ripple_tank.HEIGHT
    for step in range(steps):
        made.step()
        if step >= steps - 64:
            moved = [sum_ + value**2 for sum_, value in zip(moved, made.column(ripple_tank.FAR), strict=True)]
    return moved


def test_one_slit_lights_one_place_straight_behind_it() -> None:
    assert ripple_tank.fringes(brightness(60)) == [59]


def test_two_slits_light_places_as_far_apart_as_young_says() -> None:
    # Given slits at a distance of 26 cells, waves of 8, and a screen 80 cells away
    found = ripple_tank.fringes(brightness(47, 73))

    # Then the middle is bright, and the places beside it are where theory has them, but for a tenth
    assert found[1] == 59
    assert found[2] - found[1] == pytest.approx(8 * 80 / 26, rel=0.12)


def test_a_wall_without_slits_lets_nothing_through() -> None:
    assert max(brightness(steps=300)) == 0


def test_a_wave_is_no_faster_than_it_may_be() -> None:
    # A change goes on by one cell a step at most, and its front by half a cell
    made = tank.Tank(100, 20, 8, fade=4)
    for _ in range(60):
        made.step()
    assert max(map(abs, made.column(70))) == 0
    assert max(map(abs, made.column(50))) < 0.01
    assert max(map(abs, made.column(20))) > 0.1


@pytest.mark.slow
def test_the_tank_stays_calm_however_long_it_runs() -> None:
    assert max(brightness(47, 73, steps=600)) < 64


def test_frames_are_written_as_the_time_passes_and_progress_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = {"slits": 2, "wavelength": 8, "distance": 26, "steps": 25, "every": 10}
    for name, value in values.items():
        (tmp_path / name).write_text(str(value))
    assert ripple_tank.main(tmp_path, tmp_path) == 0
    assert sorted(path.name for path in (tmp_path / "frames").iterdir()) == ["0", "1", "array.yml"]
    picture = png.decode((tmp_path / "frames/1").read_bytes())
    assert (picture.width, picture.height) == (ripple_tank.WIDTH, ripple_tank.HEIGHT)
    assert "step 20 of 25 (80%)" in capsys.readouterr().out


# -- the batch --------------------------------------------------------------------------------------


def test_the_fields_of_view_are_what_their_script_makes() -> None:
    folder = SAMPLES / "batch-images"
    script = runpy.run_path(str(folder / "make_images.py"))
    chosen = random.Random().choice(script["SEEDS"])
    assert script["field"](chosen) == png.decode((folder / f"images/field-{chosen}.png").read_bytes())


def test_every_sample_stands_in_the_list_and_has_all_its_files() -> None:
    text = (SAMPLES / "README.md").read_text()
    for page in SAMPLES.glob("*/README.md"):
        assert f"]({page.parent.name})" in text
    for folder in ("add-integers", "count-cells", "keywords", "ripple-tank"):
        for name in ("descriptor.yml", "Dockerfile", ".dockerignore", "inputs.json", "expected.json"):
            assert (SAMPLES / folder / name).is_file()
        assert "ARG BASE_IMAGE" in (SAMPLES / folder / "Dockerfile").read_text()
        json.loads((SAMPLES / folder / "inputs.json").read_text())
