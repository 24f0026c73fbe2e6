"""`localrun mcp`, with the official client."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from localrun.cli.mcp import make_server
from localrun.engines.fake import FakeContainer
from localrun.errors import UsageError
from tests.cli.command import Command
from tests.manager.test_recovery import add
from tests.support.environment import DESCRIPTOR, Environment, make_environment


def program(container: FakeContainer) -> int:
    """Add; fail for a = 1."""
    a = int(container.path("/inputs/a").read_text())
    container.stdout.write("one\ntwo\n")
    return 3 if a == 1 else add(container)


@pytest.fixture
def env(tmp_path: Path) -> Iterator[Environment]:
    with make_environment(tmp_path, program, logs=tmp_path / "logs") as made:
        folder = tmp_path / "served" / "add"
        folder.mkdir(parents=True)
        (folder / "descriptor.yml").write_text(DESCRIPTOR)
        (folder / "Dockerfile").write_text("FROM scratch\n")
        yield made


class Agent:
    """Calls tools as a coding agent does."""

    def __init__(self, env: Environment) -> None:
        self._server = make_server(env.app, env.bundle.parent / "served")

    def __call__(self, tool: str, **arguments: Any) -> Any:
        """Return the structured result, or the text of an error."""

        from mcp import Client  # takes long, and each process of a session imports this module

        async def call() -> Any:
            async with Client(self._server) as client:
                return await client.call_tool(tool, arguments)

        found = asyncio.run(call())
        if found.is_error:
            return "".join(part.text for part in found.content)
        content = found.structured_content
        return content["result"] if content.keys() == {"result"} else content

    def tools(self) -> list[str]:
        from mcp import Client

        async def names() -> list[str]:
            async with Client(self._server) as client:
                return [tool.name for tool in (await client.list_tools()).tools]

        return asyncio.run(names())


def test_an_agent_validates_runs_and_inspects_a_bundle(env: Environment) -> None:
    agent = Agent(env)
    assert agent.tools() == ["validate", "run", "status", "logs", "diff", "explain"]
    assert "findings" in agent("validate", bundle="add")
    ran = agent("run", bundle="add", inputs={"a": 3, "b": 4}, timeout=60)
    assert (ran["state"], ran["outputs"], ran["log"]) == ("FINISHED", {"sum": 7}, "one\ntwo\nadded\n")
    status = agent("status", task_id=ran["id"])
    assert (status["state"], status["network"], status["timeout"]) == ("FINISHED", False, 60.0)
    assert agent("logs", lines=1) == "added\n"
    failed = agent("run", bundle="add", inputs={"a": 1, "b": 4})
    assert (failed["state"], failed["cause"]) == ("FAILED", "EXIT_NONZERO")
    assert "EXIT_NONZERO" in str(agent("explain", word=failed["cause"]))
    compared = agent("diff", first=ran["id"])
    assert not compared["same"]
    assert "a" in str(compared["differences"])


@pytest.mark.parametrize("bundle", ["/etc", "..", "../descriptor.yml", "nothing"])
def test_only_bundles_below_the_folder_run(env: Environment, bundle: str) -> None:
    for tool in ("run", "validate"):
        assert "bundle" in Agent(env)(tool, bundle=bundle)
    assert env.app.tasks() == []


def test_the_network_of_the_descriptor_is_not_given(env: Environment) -> None:
    descriptor = env.bundle.parent / "served/add/descriptor.yml"
    text = DESCRIPTOR.replace("ram: 64Mi", "internet: true, ram: 64Mi")
    assert text != DESCRIPTOR
    descriptor.write_text(text)
    Agent(env)("run", bundle="add", inputs={"a": 3, "b": 4})
    assert env.app.tasks()[0].network is False


def test_an_unknown_argument_is_refused_and_not_ignored(env: Environment) -> None:
    answer = Agent(env)("run", bundle="add", inputs={"a": 3, "b": 4}, network=True)
    assert "network" in answer
    assert "not permitted" in answer
    assert env.app.tasks() == []


def test_missing_and_invalid_inputs_are_an_error_with_every_problem(env: Environment) -> None:
    answer = Agent(env)("run", bundle="add", inputs={"a": "x", "c": 1})
    assert all(name in answer for name in ("inputs.a", "inputs.b", "inputs.c"))
    assert env.app.tasks() == []


def test_files_outside_the_folder_are_refused(env: Environment) -> None:
    descriptor = env.bundle.parent / "served/add/descriptor.yml"
    descriptor.write_text(DESCRIPTOR.replace("a: {type: integer", "a: {type: file"))
    answer = Agent(env)("run", bundle="add", inputs={"a": "@/etc/passwd", "b": 1})
    assert "inputs.a" in answer or "/etc/passwd" in answer
    assert env.app.tasks() == []


def test_an_unknown_task_is_an_error_with_a_remedy(env: Environment) -> None:
    assert "no task" in Agent(env)("status", task_id="nothing").lower()


def test_a_missing_package_is_a_usage_error(env: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mcp.server.mcpserver", None)
    with pytest.raises(UsageError, match="the package `mcp` is not installed"):
        make_server(env.app, env.bundle.parent)


def test_the_command_serves_on_standard_input_and_output(tmp_path: Path) -> None:
    from mcp import Client, StdioServerParameters

    arguments = ["-m", "localrun", "--home", str(tmp_path / "home"), "mcp", "--bundles", str(tmp_path)]

    async def call() -> Any:
        async with Client(StdioServerParameters(command=sys.executable, args=arguments)) as client:
            return await client.call_tool("explain", {"word": "TIMEOUT"})

    found = asyncio.run(call())
    assert not found.is_error
    assert "TIMEOUT" in str(found.structured_content)


def test_a_missing_folder_is_a_usage_error(localrun: Command) -> None:
    result = localrun("mcp", "--bundles", localrun.folder / "nothing")
    assert (result.code, "nothing is not a folder" in result.err) == (2, True)


def test_a_closed_standard_input_is_a_usage_error(localrun: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    result = localrun("mcp", "--bundles", localrun.folder)
    assert (result.code, "standard input cannot be read" in result.err) == (2, True)
