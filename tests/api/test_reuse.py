"""Reused results in Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import localrun
from localrun.engines.fake import FakeContainer
from localrun.errors import UsageError
from tests.support.environment import make_environment


def add(container: FakeContainer) -> int:
    total = sum(int(container.path(f"/inputs/{name}").read_text()) for name in "ab")
    container.path("/outputs/sum").write_text(str(total))
    return 0


def test_submit_returns_the_task_whose_result_is_reused(tmp_path: Path) -> None:
    with make_environment(tmp_path, add) as env, localrun.using(env.app):
        options: dict[str, Any] = {
            "use_image": env.image,
            "pull": "never",
            "home": env.app.settings.home,
            "a": 3,
        }
        first = localrun.submit(env.bundle, b=4, **options)
        first.wait()
        again = localrun.submit(env.bundle, b=4, reuse=True, **options)
        other = localrun.submit(env.bundle, b=5, reuse=True, **options)
        assert (again, again.reused, again.outputs) == (first, True, {"sum": 7})
        assert (first.reused, first.not_reused) == (False, ())
        assert (other.reused, other.not_reused) == (False, ("inputs.b 4 -> 5",))
        other.wait()
        assert localrun.run(env.bundle, b=4, reuse=True, **options) == {"sum": 7}
        assert len(localrun.tasks(home=env.app.settings.home)) == 2
        with pytest.raises(UsageError) as caught:
            localrun.submit(env.bundle, b=4, reuse="some", **options)  # type: ignore[arg-type]
        assert [problem.path for problem in caught.value.problems] == ["reuse"]
