from __future__ import annotations

import pytest

from localrun.app import App
from localrun.cli import prune
from localrun.engines.fake import FakeEngine
from tests.cli.command import Command


def test_what_would_go_is_shown_and_nothing_is_deleted(localrun: Command) -> None:
    localrun.run()
    localrun.run()
    result = localrun("prune", "--keep", "1")
    lines = result.out.splitlines()
    assert result.code == 0
    assert lines[0].startswith("task ")
    assert "FINISHED" in lines[0]
    assert lines[-1].startswith("1 object, ")
    assert "nothing was deleted; run `localrun prune --yes` to delete" in result.err
    assert len(localrun("list", "--json").json) == 2


def test_yes_deletes_it(localrun: Command) -> None:
    for _ in range(3):
        localrun.run()
    newest = localrun("list", "--json").json[0]["id"]
    result = localrun("prune", "--keep", "1", "--yes")
    assert (result.code, "deleted 2 of 2, " in result.out) == (0, True)
    assert [task["id"] for task in localrun("list", "--json").json] == [newest]


@pytest.mark.parametrize(("answer", "left"), [(True, 0), (False, 1)])
def test_on_a_terminal_it_asks(
    localrun: Command, monkeypatch: pytest.MonkeyPatch, answer: bool, left: int
) -> None:
    monkeypatch.setattr(prune, "_can_ask", lambda context: True)
    monkeypatch.setattr("click.confirm", lambda text, default: answer)
    localrun.run()
    localrun("prune", "--keep", "0")
    assert len(localrun("list", "--json").json) == left


def test_nothing_to_delete_is_said(localrun: Command) -> None:
    localrun.run()
    result = localrun("prune")
    assert (result.code, result.out) == (0, "nothing to delete\n")
    assert "keeping 1 ended task" in result.err


def test_json_is_a_dry_run_without_yes(localrun: Command) -> None:
    localrun.run()
    found = localrun("prune", "--keep", "0", "--json").json
    assert [(item["kind"], item["deleted"], item["error"]) for item in found["items"]] == [
        ("task", False, None)
    ]
    assert found["size"] == found["items"][0]["size"] > 0
    found = localrun("prune", "--keep", "0", "--json", "--yes").json
    assert [item["deleted"] for item in found["items"]] == [True]
    assert localrun("list", "--json").json == []


def test_one_kind_can_be_looked_at_alone(localrun: Command) -> None:
    localrun.run()
    assert localrun("prune", "--keep", "0", "--only", "image", "--json").json["items"] == []
    kinds = {item["kind"] for item in localrun("prune", "--keep", "0", "--cache", "--json").json["items"]}
    assert kinds <= {"task", "cache"}


def test_what_cannot_be_deleted_is_told_and_the_rest_goes(
    localrun: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    from localrun.maintenance.prune import PruneItem, Pruner

    for _ in range(3):
        localrun.run()
    ids = [task["id"] for task in localrun("list", "--json").json]
    delete = Pruner.delete

    def refuse(self: Pruner, item: PruneItem) -> None:
        if item.name == ids[1]:
            raise PermissionError(13, "Permission denied")
        delete(self, item)

    monkeypatch.setattr(Pruner, "delete", refuse)
    result = localrun("prune", "--keep", "0", "--yes")
    assert result.code == 5
    assert f"cannot delete {ids[1]}: Permission denied" in result.err
    assert "deleted 2 of 3, " in result.out


@pytest.mark.parametrize("arguments", [["--older-than", "soon"], ["--keep", "-1"], ["--only", "all"]])
def test_a_wrong_wish_is_a_wrong_call(localrun: Command, arguments: list[str]) -> None:
    assert localrun("prune", *arguments).code == 2


def test_objects_of_other_folders_are_listed_in_brief(
    localrun: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"localrun/build:{number:064x}" for number in range(12)]
    engine = FakeEngine()
    for name in names:
        engine.add_image(name)
    monkeypatch.setattr(localrun, "app", lambda settings: App(settings, engine))
    done = localrun("prune")
    assert "not of this folder (" in done.out
    assert done.out.count("  image  ") == 10
    assert "  and 2 more" in done.out
    assert len(localrun("prune", "--json").json["skipped"]) == 12
    assert "deleted 12 of 12" in localrun("prune", "--all-folders", "--yes").out
