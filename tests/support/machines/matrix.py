"""Run the same tests on several engines: `python -m tests.support.machines.matrix [KIND...]`.

It prints a table of engines and files, and describes the engines in docs/engines.md. It fails if a test fails
that is not among the known limitations. An engine that cannot be had is skipped, on CI it is a failure.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence

from tests.support.machines.__main__ import PACKAGES, ROOT, run
from tests.support.machines.facts import Facts
from tests.support.machines.kinds import KINDS
from tests.support.machines.outcomes import Outcomes
from tests.support.machines.page import update_page
from tests.support.machines.suite import FILES, QUICK_FILES, VARIABLE
from tests.support.machines.table import format_table

RESULTS = PACKAGES / "results"
# the facts of the engine go to the file $0
SCRIPT = """docker info --format '{{json .}}' >"$0" && exec "$@" """


def test(kind: str, files: Sequence[str]) -> Outcomes:
    """Run the tests on an engine. Raises RuntimeError if there is no such engine here."""
    report, facts = RESULTS / f"{kind}.xml", RESULTS / f"{kind}.json"
    for path in (report, facts):
        path.unlink(missing_ok=True)
    pytest = [sys.executable, "-m", "pytest", "-q", "-m", "docker", "-p", "no:cacheprovider"]
    options = ["-p", "tests.support.machines.suite", "-o", "junit_family=xunit1", f"--junitxml={report}"]
    os.environ[VARIABLE] = kind
    try:
        code = run(kind, "sh", "-c", SCRIPT, str(facts), *pytest, *options, *files)
    except subprocess.CalledProcessError as error:
        raise RuntimeError(f"cannot prepare the engine: {error}") from error
    if (log := PACKAGES / "engine.log").exists():
        shutil.move(log, RESULTS / f"{kind}.log")
    if not facts.exists() or not facts.stat().st_size:
        raise RuntimeError("the engine does not start")
    return Outcomes.read(report, code)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="Run the same tests on several engines.")
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"of: {', '.join(KINDS)} (default: all)")
    parser.add_argument("--file", action="append", dest="files", help="instead of the usual test files")
    parser.add_argument("--quick", action="store_true", help="only a few of the usual test files")
    given = parser.parse_args(arguments)
    if unknown := sorted(set(given.kinds) - set(KINDS)):
        parser.error(f"unknown engine {', '.join(unknown)}; expected {', '.join(KINDS)}")
    if os.geteuid() != 0:
        parser.error("only root can start engines")
    files = given.files or (QUICK_FILES if given.quick else FILES)
    RESULTS.mkdir(parents=True, exist_ok=True)
    RESULTS.chmod(0o1777)  # also for an ordinary user
    outcomes: dict[str, Outcomes] = {}
    missing: dict[str, str] = {}
    for kind in given.kinds or KINDS:
        sys.stderr.write(f"== {kind}: {KINDS[kind].title}\n")
        try:
            outcomes[kind] = test(kind, files)
        except RuntimeError as error:
            missing[kind] = str(error)
    sys.stdout.write(f"{format_table(outcomes, missing)}\n")
    if not os.environ.get("CI"):
        update_page(
            ROOT / "docs" / "engines.md", {kind: Facts.read(RESULTS / f"{kind}.json") for kind in outcomes}
        )
    return int(any(each.failed for each in outcomes.values()) or bool(missing and os.environ.get("CI")))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
