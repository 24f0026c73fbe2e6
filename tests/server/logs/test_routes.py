from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from localrun.engines.fake import FakeContainer
from tests.support.server_client import ServerEnvironment, serve_environment

LINES = "".join(f"line {number}\n" for number in range(1, 101))


def talk(container: FakeContainer) -> int:
    container.stdout.write(LINES)
    container.stderr.write("Error: \x1b[31m<b>bad</b>\x1b[0m\n")
    container.path("/outputs/sum").write_text("1")
    return 0


@pytest.fixture
def served(tmp_path: Path) -> Iterator[ServerEnvironment]:
    with serve_environment(tmp_path, talk) as env:
        yield env


@pytest.fixture
def logs(served: ServerEnvironment) -> str:
    """The path of the log of an ended task."""
    task_id = served.run(a=1, b=2)
    served.wait(task_id)
    return f"/task/{task_id}/logs"


def page(served: ServerEnvironment, path: str, **query: Any) -> dict[str, Any]:
    answer = served.client.get(path, params={"format": "json", **query})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_a_page_starts_at_a_line_a_byte_or_the_end(served: ServerEnvironment, logs: str) -> None:
    first = page(served, logs, limit=2)
    assert [entry["text"] for entry in first["entries"]] == ["line 1", "line 2"]
    assert (first["lines"], first["complete"]) == (101, False)
    assert page(served, logs, limit=1, **{"from": first["end"]["byte"]})["entries"][0]["line"] == 3
    assert page(served, logs, line=50, limit=1)["entries"][0]["text"] == "line 50"
    last = page(served, logs, tail=1)
    assert last["entries"][0]["stream"] == "stderr"
    assert "\x1b[31m<b>bad" in last["entries"][0]["text"]
    assert last["complete"] is True
    assert page(served, logs, line=10**6)["entries"] == []


def test_lines_are_found(served: ServerEnvironment, logs: str) -> None:
    found = page(served, logs, find="LINE 1", limit=3)
    assert [match["line"] for match in found["matches"]] == [1, 10, 11]
    more = page(served, logs, find="line 1", **{"from": found["next"]})
    assert [match["line"] for match in more["matches"]] == [*range(12, 20), 100]
    assert more["next"] is None
    assert page(served, logs, find="line", stream="stderr")["matches"] == []


def test_the_text_starts_at_a_byte_or_with_the_last_lines(served: ServerEnvironment, logs: str) -> None:
    whole = served.client.get(logs)
    assert whole.text.startswith(LINES)
    part = served.client.get(f"{logs}?from=7")
    assert part.text == whole.text[7:]
    assert part.headers["x-log-start"] == "7"
    assert part.headers["x-log-size"] == str(len(whole.content))
    assert served.client.get(f"{logs}?tail=2").text == "line 100\nError: \x1b[31m<b>bad</b>\x1b[0m\n"
    assert served.client.get(f"{logs}?tail=0").text == ""
    assert part.headers["content-type"] == "text/plain; charset=utf-8"


def events(text: str) -> list[dict[str, Any]]:
    blocks = [dict(line.split(": ", 1) for line in block.splitlines()) for block in text.split("\n\n")]
    return [{**block, "data": json.loads(block["data"])} for block in blocks if "data" in block]


def test_pages_are_streamed_and_resumed(served: ServerEnvironment, logs: str) -> None:
    found = events(served.client.get(f"{logs}?format=events&limit=60").text)
    assert [one["event"] for one in found] == ["lines", "lines", "end"]
    assert [len(one["data"]["entries"]) for one in found[:2]] == [60, 41]
    resumed = events(
        served.client.get(f"{logs}?format=events", headers={"last-event-id": found[0]["id"]}).text
    )
    assert resumed[0]["data"]["start"] == {"line": 61, "byte": int(found[0]["id"])}


def test_a_running_task_sends_whole_lines_and_its_last_one_at_the_end(tmp_path: Path) -> None:
    def program(container: FakeContainer) -> int:
        container.stdout.write("one\ntw")
        container.stdout.write("o\nlast")
        container.path("/outputs/sum").write_text("1")
        return 0

    with serve_environment(tmp_path, program) as env:
        task_id = env.run(a=1, b=2)
        found = events(env.client.get(f"/task/{task_id}/logs?format=events").text)
    lines = [entry["text"] for one in found[:-1] for entry in one["data"]["entries"]]
    assert lines == ["one", "two", "last"]
    assert found[-1]["event"] == "end"


def test_a_task_without_output_has_an_empty_page(served: ServerEnvironment) -> None:
    task_id = served.post({})["task_id"]
    assert page(served, f"/task/{task_id}/logs")["entries"] == []
    assert served.client.get("/task/nope/logs?format=json").status_code == 404


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("from=1&line=2", "exclude each other"),
        ("tail=1&line=2", "exclude each other"),
        ("format=json&follow=true", "format=events"),
        ("find=x", "add it"),
        ("format=json&find=x&line=3", "use `from`"),
        ("format=xml", "'text', 'json' or 'events'"),
        ("format=json&limit=0", "greater than or equal to 1"),
    ],
)
def test_parameters_that_have_no_effect_together_are_422(
    served: ServerEnvironment, logs: str, query: str, words: str
) -> None:
    answer = served.client.get(f"{logs}?{query}")
    assert answer.status_code == 422
    assert words in answer.text


def test_one_stream_alone_is_found_without_a_text(served: ServerEnvironment, logs: str) -> None:
    found = served.client.get(f"{logs}?format=json&stream=stderr").json()
    every = served.client.get(f"{logs}?format=json").json()["entries"]
    wanted = [one["line"] for one in every if one["stream"] == "stderr"]
    assert wanted
    assert [one["line"] for one in found["matches"]] == wanted
    assert served.client.get(f"{logs}?format=json&stream=stderr&tail=3").status_code == 422
