from __future__ import annotations

import shlex
import subprocess
from typing import Any

import pytest

from localrun.report.details.commands import curl_command, run_command


def words(values: dict[str, Any] | None = None, **options: Any) -> list[str]:
    return shlex.split(run_command("my bundle", values or {}, options))[2:]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3, "a=3"),
        (True, "a=true"),
        ("it's", "a=it's"),
        ("/data/x.png", "a=@/data/x.png"),
        ([1, 2], "a=[1, 2]"),
        (["/d/0", "/d/1"], "a=@/d"),
        (["/d/0", "/e/1"], 'a=["@/d/0", "@/e/1"]'),
        ({"type": "Point"}, 'a={"type": "Point"}'),
    ],
)
def test_each_value_is_written_as_the_command_line_reads_it(value: Any, text: str) -> None:
    assert words({"a": value}) == ["my bundle", "-i", text]


def test_only_options_that_differ_from_the_defaults_are_written() -> None:
    assert words(cpus=1, memory=4 * 1024**3, gpus=0, network=False, retries=0, pull="missing") == [
        "my bundle"
    ]
    found = words(cpus=0.5, memory=512 * 1024**2, gpus=1, network=True, timeout=90.0, replicas=3, agree=2)
    assert found[1:7] == ["--cpus", "0.5", "--gpus", "1", "--memory", "512Mi"]
    assert found[7:] == ["--network", "--timeout", "90s", "--replicas", "3", "--agree", "2"]
    assert words(hardened=True, writable_inputs=True)[1:] == ["--writable-inputs", "--hardened"]
    assert words(dockerfile="D", build_args={"A": "1"})[1:] == ["--file", "D", "--build-arg", "A=1"]


def test_no_secret_is_part_of_a_command() -> None:
    assert "abcdef123456" not in " ".join(words({"api_token": "abcdef123456"}))
    assert "abcdef123456" not in curl_command(
        "http://x", {"env": {"API_KEY": "abcdef123456"}}, {}, has_token=False
    )


def test_the_curl_command_uploads_files_and_sends_the_token() -> None:
    plain = curl_command("http://x:1", {"bundle": "b"}, {}, has_token=False)
    assert shlex.split(plain) == [
        "curl",
        "-d",
        '{"task": {"bundle": "b"}, "assigned_by": "curl"}',
        "http://x:1/task",
    ]
    found = curl_command("http://x:1", {"bundle": "b"}, {"image": "/d/my scan.png"}, has_token=True)
    assert found.count('-H "Authorization: Bearer $LOCALRUN_TOKEN"') == 2
    assert found.splitlines()[1].startswith("curl -T '/d/my scan.png'")
    assert found.endswith("http://x:1/task/$ID/inputs/image")
    assert subprocess.run(["sh", "-n"], input=found, text=True, check=False).returncode == 0
