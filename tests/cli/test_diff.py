from __future__ import annotations

from localrun.engines.fake import FakeContainer
from tests.cli.command import Command, add
from tests.cli.test_commands import newest, running


def pair(localrun: Command, *more: str) -> tuple[str, str]:
    localrun.run()
    first = newest(localrun)["id"]
    localrun("rerun", "last", *more)
    return first, newest(localrun)["id"]


def test_two_runs_of_the_same_are_the_same(localrun: Command) -> None:
    first, second = pair(localrun)
    result = localrun("diff", first, second)
    assert result.code == 0
    assert "unchanged: bundle, image, inputs, limits, environment, end, outputs\n" in result.out
    assert localrun("diff", first, second, "--json").json["same"] is True


def test_what_differs_is_shown_by_section_with_both_values(localrun: Command) -> None:
    first, second = pair(localrun, "-i", "b=9")
    result = localrun("diff", first, second)
    assert result.code == 1
    lines = result.out.splitlines()
    assert lines[:6] == [
        f"- {first[:8]}  FINISHED  Add integers",
        f"+ {second[:8]}  FINISHED  Add integers",
        "inputs:",
        "  b: 4 -> 9",
        "outputs:",
        "  sum: 7 -> 12",
    ]
    assert any(line.startswith("  run ") and "->" in line for line in lines)


def test_the_difference_is_one_json_record(localrun: Command) -> None:
    first, second = pair(localrun, "-i", "b=9")
    result = localrun("diff", first[:8], second[:8], "--json")
    assert result.code == 1
    assert (result.json["first"], result.json["second"], result.json["same"]) == (first, second, False)
    assert result.json["differences"] == [
        {"section": "inputs", "path": "b", "first": 4, "second": 9},
        {"section": "outputs", "path": "sum", "first": 7, "second": 12},
    ]
    assert len(result.json["timings"]["run"]) == 2


def test_nothing_that_a_task_wrote_steers_the_terminal(localrun: Command) -> None:
    def write(number: int) -> None:
        def program(container: FakeContainer) -> int:
            container.path("/outputs/\x1b[2J").write_text(f"\x1b]0;{number}\x07\n")
            return add(container)

        localrun.program = program

    write(1)
    localrun.run()
    first = newest(localrun)["id"]
    write(2)
    localrun("rerun", "last")
    result = localrun("diff", first, "last")
    assert result.code == 1
    assert "\x1b" not in result.out
    assert "differs from line 1" in result.out


def test_a_failed_task_is_compared_with_one_that_finished(localrun: Command) -> None:
    localrun.run()
    first = newest(localrun)["id"]
    localrun.program = lambda _: 3
    localrun("rerun", "last")
    out = localrun("diff", first, "last").out
    assert "  state: FINISHED -> FAILED\n" in out
    assert "  exit_code: 0 -> 3\n" in out
    assert "  sum: 7 -> nothing\n" in out


def test_a_task_on_its_way_is_compared_as_it_is(localrun: Command) -> None:
    localrun.run()
    first = newest(localrun)["id"]
    with running(localrun) as (_, task):
        result = localrun("diff", first, task.id)
    assert (result.code, "has not ended (RUNNING); comparing its current state" in result.err) == (1, True)


def test_a_task_that_is_not_there_is_a_wrong_call(localrun: Command) -> None:
    localrun.run()
    assert localrun("diff", "last", "nope").code == 2
    assert localrun("diff", "last").code == 2


def test_repeated_differences_are_folded_except_in_json(localrun: Command) -> None:
    def write(text: str) -> None:
        def program(container: FakeContainer) -> int:
            container.path("/outputs/tiles").mkdir()
            for number in range(20):
                container.path(f"/outputs/tiles/{number}.txt").write_text(text)
            return add(container)

        localrun.program = program

    write("a")
    localrun.run()
    first = newest(localrun)["id"]
    write("b")
    localrun("rerun", "last")
    lines = localrun("diff", first, "last").out.splitlines()
    assert sum("tiles/" in line for line in lines) == 5
    assert "  and 15 more like this" in lines
    assert len(localrun("diff", first, "last", "--json").json["differences"]) == 20
