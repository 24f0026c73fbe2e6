"""The tests that run on every engine, and what engines are known not to do.

As a plugin of pytest (`-p tests.support.machines.suite`), it expects the failures of known limitations.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

VARIABLE = "LOCALRUN_TEST_ENGINE"  # the kind of the engine under test

# of these, the tests marked `docker`
FILES = (
    "tests/engines/test_contract.py",
    "tests/engines/test_dockerd.py",
    "tests/engines/dockerd/builders/test_buildkit.py",
    "tests/bundle/images/test_build.py",
    "tests/bundle/images/test_load.py",
    "tests/bundle/builder/test_builder.py",
    "tests/runner/test_on_docker.py",
    "tests/runner/test_round_trip.py",
    "tests/runner/test_usage.py",
    "tests/batch/test_on_docker.py",
    "tests/manager/test_dependencies_on_docker.py",
    "tests/server/appengine/test_life_on_docker.py",
    "tests/cli/test_on_docker.py",
    "tests/cli/test_shell.py",
    "tests/faults/test_faults.py",
    "tests/faults/test_network.py",
    "tests/faults/test_processes.py",
)
# those that together take a few minutes on each engine
QUICK_FILES = (
    "tests/engines/test_contract.py",
    "tests/faults/test_network.py",
    "tests/batch/test_on_docker.py",
)


@dataclass(frozen=True)
class Limitation:
    """Something that engines do not do.

    `tests` are beginnings of test ids that fail for this reason. They must fail, so that the limitation is
    removed when it is gone. With `skip` they do not run, because they may pass, or end the engine.
    """

    kinds: tuple[str, ...]
    tests: tuple[str, ...]
    reason: str
    skip: bool = False


PODMAN = ("podman", "podman-newest", "podman-rootless")
ROOTLESS = ("podman-rootless", "docker-rootless")

LIMITATIONS: tuple[Limitation, ...] = (
    Limitation(
        PODMAN,
        ("tests/engines/dockerd/builders/test_buildkit.py",),
        "Podman builds without BuildKit",
        skip=True,
    ),
    Limitation(
        PODMAN,
        (
            "tests/engines/test_dockerd.py::test_a_build_that_is_interrupted_leaves_nothing",
            "tests/runner/test_on_docker.py::test_a_silent_build_is_aborted_by_a_kill_and_leaves_nothing",
        ),
        "Podman finishes the current step of a build that is cancelled",
        skip=True,
    ),
    Limitation(
        (*PODMAN, "docker-rootless"),
        (
            "tests/faults/test_faults.py::test_a_fault_is_shown_with_cause_facts_and_remedy"
            "[OUTPUTS_INVALID-a_device]",
            "tests/runner/test_on_docker.py::test_links_pipes_and_devices_in_the_outputs_are_rejected"
            "[busybox mknod -m 666]",
        ),
        "containers of Podman and of rootless engines cannot create devices",
        skip=True,
    ),
    Limitation(
        ("podman-rootless",),
        ("tests/engines/test_contract.py::test_an_unknown_handle_is_reported",),
        "Without delegated cgroups, Podman reports no usage instead of an unknown container",
        skip=True,
    ),
    Limitation(
        ROOTLESS,
        (
            "tests/engines/test_contract.py::test_usage_is_known_while_it_runs",
            "tests/engines/test_contract.py::test_measuring_can_be_broken_off",
            "tests/faults/test_faults.py::test_a_tolerated_difference_is_a_warning[FINISHED-an_idle_program]",
        ),
        "Without delegated cgroups, the usage of containers is not measured",
        skip=True,
    ),
    Limitation(
        ROOTLESS,
        (
            "tests/runner/test_on_docker.py::test_a_bundle_runs_end_to_end_and_leaves_no_container",
            "tests/runner/test_on_docker.py::test_out_of_memory_is_recognised",
        ),
        "Without delegated cgroups, no limit is enforced; `run` and `doctor` report it",
    ),
    Limitation(
        ROOTLESS,
        (
            "tests/engines/test_dockerd.py::test_processes_are_counted",
            "tests/engines/test_dockerd.py::test_memory_has_no_swap_beside_it_and_too_much_of_it_ends_the_program",
            "tests/faults/test_faults.py::test_a_fault_is_shown_with_cause_facts_and_remedy"
            "[OUT_OF_MEMORY-a_program_over_its_memory_limit]",
            "tests/faults/test_faults.py::test_a_tolerated_difference_is_a_warning"
            "[FINISHED-a_child_process_over_the_memory_limit]",
        ),
        "Without delegated cgroups, a program may use more memory and start more processes than its limits",
        skip=True,  # they would use the memory of this machine
    ),
)


def limitations(kind: str) -> Iterator[Limitation]:
    """Yield the limitations of an engine."""
    return (each for each in LIMITATIONS if kind in each.kinds)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Expect the failures of known limitations of the engine under test."""
    known = list(limitations(os.environ.get(VARIABLE, "")))
    for item in items:
        for limitation in known:
            if item.nodeid.startswith(limitation.tests):
                item.add_marker(_mark(limitation))


def _mark(limitation: Limitation) -> pytest.MarkDecorator:
    if limitation.skip:
        return pytest.mark.skip(reason=limitation.reason)
    return pytest.mark.xfail(reason=limitation.reason, strict=True)
