"""The outcomes of a test session, read from its JUnit report."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET


@dataclass(frozen=True)
class Outcomes:
    """How many tests of each file passed, failed, were skipped, or failed as known."""

    files: Mapping[str, Counter[str]]
    failed: tuple[str, ...]

    @classmethod
    def read(cls, report: Path, code: int) -> Outcomes:
        """Read the report, of the `xunit1` family, of a session that ended with this exit code."""
        files: dict[str, Counter[str]] = defaultdict(Counter)
        failed: list[str] = []
        if not report.exists():
            return cls(files, (f"the session itself (exit code {code})",))
        for case in ET.parse(report).iter("testcase"):
            outcome = _outcome(case)
            files[case.get("file", "?")][outcome] += 1
            if outcome == "failed":
                failed.append(f"{case.get('file')}::{case.get('name')}")
        if code and not failed:
            failed.append(f"the session itself (exit code {code}), e.g. because of leftovers")
        return cls(files, tuple(failed))


def _outcome(case: ET.Element) -> str:
    if case.find("failure") is not None or case.find("error") is not None:
        return "failed"
    skipped = case.find("skipped")
    if skipped is None:
        return "passed"
    return "known" if skipped.get("type") == "pytest.xfail" else "skipped"
