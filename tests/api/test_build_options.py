"""The options of a build in Python."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import localrun
from localrun.engines.base import BuildSecret
from localrun.engines.fake import FakeContainer, FakeEngine
from localrun.errors import UsageError
from tests.support.environment import DESCRIPTOR, Environment, make_environment


def add(container: FakeContainer) -> int:
    container.path("/outputs/sum").write_text("7")
    return 0


@pytest.fixture
def env(tmp_path: Path) -> Iterator[Environment]:
    with make_environment(tmp_path, add) as env, localrun.using(env.app):
        yield env


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "repo"
    (root / "a").mkdir(parents=True)
    (root / "a" / "descriptor.yml").write_text(DESCRIPTOR)
    (root / "own.Dockerfile").write_text("FROM scratch\n")
    return root


def test_run_passes_all_options_to_the_build(
    env: Environment, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repository)
    monkeypatch.setenv("TOKEN", "value of the token")
    (repository / "key").write_text("value of the key")
    outputs = localrun.run(
        "a",
        a=3,
        b=4,
        home=env.app.settings.home,
        dockerfile="own.Dockerfile",
        context=Path(),
        target="last",
        build_secrets={"key": Path("key"), "token": "env=TOKEN"},
        build_contexts={"base": "docker-image://busybox"},
    )
    assert outputs == {"sum": 7}
    assert isinstance(env.engine, FakeEngine)
    (built,) = env.engine.builds
    assert (built.folder, built.dockerfile, built.target) == (repository, "own.Dockerfile", "last")
    assert built.contexts == {"base": "docker-image://busybox"}
    assert [(one.id, one.file, one.variable) for one in built.secrets] == [
        ("key", repository / "key", ""),
        ("token", None, "TOKEN"),
    ]
    assert "value of" not in repr(built)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": 3}, "expected the name of a stage"),
        ({"context": 3}, "expected a path"),
        ({"dockerfile": b"x"}, "expected a path"),
        ({"build_contexts": {"base": "busybox"}}, "docker-image://"),
        ({"build_secrets": {"a": "hunter2"}}, "expected a Path"),
        ({"build_secrets": ["id=a,env=NOT_SET_HERE"]}, "NOT_SET_HERE is not set"),
    ],
)
def test_an_invalid_option_is_reported_and_nothing_is_built(
    env: Environment, repository: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        localrun.run(repository / "a", a=3, b=4, home=env.app.settings.home, **options)
    (problem,) = caught.value.problems
    assert message in problem.message
    assert "hunter2" not in str(caught.value)


def test_an_input_with_the_name_of_an_option_is_passed_as_inputs(repository: Path) -> None:
    with pytest.raises(UsageError, match=r'inputs=\{"target": ...\}'):
        localrun.run(repository / "a", target=3)  # type: ignore[arg-type]


def test_the_value_of_a_secret_is_not_shown() -> None:
    assert "value" not in repr(BuildSecret("a", variable="A", value="the value"))
