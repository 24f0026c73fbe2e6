"""Parsing of Dockerfiles: directives, continued lines, here-documents, stages and variables."""

from __future__ import annotations

import time

import pytest

from localrun.engines.dockerfile import Dockerfile, Heredoc, arguments, expand

STAGES = """\
FROM base:1 AS tools
FROM tools AS unused
FROM base:2 AS Runtime
COPY --from=tools /a /a
FROM runtime
RUN --mount=type=bind,from=3,target=/x true
"""


def lines(text: str) -> list[tuple[int, str, str]]:
    return [(each.line, each.name, each.text) for each in Dockerfile(text).instructions]


def test_instructions_have_the_number_of_their_first_line() -> None:
    text = '# comment\n\nfrom base\n\nRUN one \\\n  # comment\n\n  && two\nCMD ["x"]\n'
    assert lines(text) == [(3, "FROM", "base"), (5, "RUN", "one   && two"), (9, "CMD", '["x"]')]


def test_the_escape_directive_changes_the_character_that_continues_a_line() -> None:
    assert lines("# escape=`\nFROM base\nRUN a `\nb\nRUN c\\\n") == [
        (2, "FROM", "base"),
        (3, "RUN", "a b"),
        (5, "RUN", "c\\"),
    ]


@pytest.mark.parametrize(
    ("text", "syntax"),
    [
        ("# syntax=docker/dockerfile:1\nFROM a\n", (1, "docker/dockerfile:1")),
        ("\ufeff#Syntax = me/front:2 \nFROM a\n", (1, "me/front:2")),
        ("# check=skip=all\n# syntax=x\nFROM a\n", (2, "x")),
        ("# a comment\n# syntax=x\nFROM a\n", None),
        ("FROM a\n# syntax=x\n", None),
    ],
)
def test_syntax_lines_count_only_at_the_top(text: str, syntax: tuple[int, str] | None) -> None:
    assert Dockerfile(text).syntax == syntax


def test_flags_are_split_from_the_text() -> None:
    (_, run) = Dockerfile("FROM a\nRUN --mount=type=cache,target=/c --network=none true --x\n").instructions
    assert run.flags == (("mount", "type=cache,target=/c"), ("network", "none"))
    assert (run.text, run.flag("network"), run.flag("link")) == ("true --x", "none", None)
    assert run.source == "RUN --mount=type=cache,target=/c --network=none true --x"


@pytest.mark.parametrize("line", ["RUN <<EOF", "RUN cat <<'EOF' > /x", 'COPY <<"EOF" /x', "RUN 3<<EOF cat"])
def test_the_lines_of_a_here_document_are_no_instructions(line: str) -> None:
    found = Dockerfile(f"FROM a\n{line}\nRUN x\n  EOF\nEOF\nCMD y\n").instructions
    assert [each.line for each in found] == [1, 2, 6]
    assert found[1].heredocs == (Heredoc("EOF", dash=False),)


def test_two_here_documents_follow_each_other_and_a_dash_removes_tabs() -> None:
    text = "FROM a\nRUN <<-A cat && <<B cat\nx\n\tA\ny\nB\nCMD z\n"
    assert lines(text)[-1] == (7, "CMD", "z")


@pytest.mark.parametrize("line", ["RUN echo $((1<<2))", "RUN cat <<<word", 'RUN ["<<EOF"]', "ENV A=<<EOF"])
def test_other_uses_of_the_sign_are_no_here_documents(line: str) -> None:
    assert len(Dockerfile(f"FROM a\n{line}\nCMD x\n").instructions) == 3


def test_a_stage_needs_those_that_it_starts_from_copies_from_and_mounts() -> None:
    parsed = Dockerfile(STAGES)
    assert [stage.label() for stage in parsed.stages] == ["tools", "unused", "runtime", "3"]
    assert [stage.index for stage in parsed.needed_stages()] == [0, 2, 3]
    assert [stage.index for stage in parsed.needed_stages("unused")] == [0, 1]
    assert [stage.index for stage in parsed.needed_stages("RUNTIME")] == [0, 2]


def test_the_line_of_a_step_is_found_by_its_text() -> None:
    parsed = Dockerfile("FROM a\nRUN one \\\n   two\nCOPY --link x /\nRUN <<EOF\nx\nEOF\n")
    assert parsed.line_of("RUN one    two") == 2
    assert parsed.line_of("COPY --link x /") == 4
    assert parsed.line_of("RUN <<EOF (x...)") == 5
    assert parsed.line_of("RUN other") == 0


def test_an_instruction_after_onbuild_is_parsed() -> None:
    trigger = Dockerfile("FROM a\nONBUILD RUN --mount=type=cache,target=/c true\n").instructions[1].trigger
    assert trigger is not None
    assert (trigger.name, trigger.line, trigger.flag("mount")) == ("RUN", 2, "type=cache,target=/c")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("$A:$B", "1:"), ("${A}x", "1x"), ("${B:-$A}", "1"), ("${A:+y}${B:+z}", "y"), (r"\$A", r"\$A")],
)
def test_variables_are_replaced(text: str, expected: str) -> None:
    assert expand(text, {"A": "1"}) == expected


def test_arguments_before_the_first_from_use_each_other_and_the_given_values() -> None:
    parsed = Dockerfile('ARG A=1 B\nARG C="v$A-$B"\nFROM x:$C\nARG D=2\n')
    assert arguments(parsed, {"B": "2", "D": "9"}) == {"A": "1", "B": "2", "C": "v1-2"}


def test_an_empty_dockerfile_has_no_stages() -> None:
    assert Dockerfile("").needed_stages() == []


@pytest.mark.parametrize(
    "text",
    [
        "RUN a" + " \\\n b" * 20_000,
        "FROM a\nRUN " + "--mount=a,from=b " * 20_000 + "c",
        "# a = b" + " " * 100_000 + "c\n",
        "FROM " + "${a:-" * 20_000,
        "".join(f"FROM s{n - 1} AS s{n}\n" for n in range(5_000)),
        "FROM a\nRUN " + '"' * 100_001,
    ],
    ids=["continuations", "flags", "directive", "variables", "stages", "quotes"],
)
def test_a_hostile_dockerfile_is_read_in_linear_time(text: str) -> None:
    start = time.thread_time()
    parsed = Dockerfile(text)
    parsed.needed_stages()
    arguments(parsed, {})
    for stage in parsed.stages[:3]:
        expand(stage.base, {})
    assert time.thread_time() - start < 10  # 0.1 s; hours if quadratic or worse


def test_variables_that_contain_each_other_do_not_grow_without_bounds() -> None:
    text = "ARG a0=0123456789\n" + "".join(f"ARG a{n + 1}=$a{n}$a{n}\n" for n in range(60)) + "FROM $a60\n"
    assert max(map(len, arguments(Dockerfile(text), {}).values())) <= 1 << 17
