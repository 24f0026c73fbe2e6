"""The section "Supported engines" of docs/engines.md."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests.support.machines.facts import Facts
from tests.support.machines.kinds import KINDS
from tests.support.machines.suite import LIMITATIONS

BEGIN, END = "<!-- begin: make engines -->", "<!-- end: make engines -->"
HEAD = "| `ENGINES` | engine | version | image store | cgroups |\n|---|---|---|---|---|\n"
LIMITS = "| limitation | engines | tests |\n|---|---|---|\n"


def update_page(page: Path, facts: Mapping[str, Facts]) -> None:
    """Replace the rows of these engines, and the list of limitations."""
    before, _, rest = page.read_text().partition(BEGIN)
    old, _, after = rest.partition(END)
    rows = {
        row.split("`")[1]: row for row in old.splitlines() if row.startswith("| `") and row.count("|") == 6
    }
    rows |= {kind: _row(kind, each) for kind, each in facts.items()}
    engines = "".join(f"{rows[kind]}\n" for kind in KINDS if kind in rows)
    limits = "".join(
        f"| {each.reason} | {', '.join(each.kinds)} | {', '.join(f'`{test}`' for test in each.tests)} |\n"
        for each in LIMITATIONS
    )
    page.write_text(f"{before}{BEGIN}\n\n{HEAD}{engines}\n{LIMITS}{limits}\n{END}{after}")


def _row(kind: str, facts: Facts) -> str:
    cgroups = f"{facts.cgroups}, without delegation" if facts.rootless else facts.cgroups
    return f"| `{kind}` | {KINDS[kind].title} | {facts.version} | {facts.store} | {cgroups} |"
