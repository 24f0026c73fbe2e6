"""Run the long attack: `python -m tests.attack --inputs 20000 --seed 1 [PARSER...]`."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.attack.fuzz import attack
from tests.attack.parsers import make_parsers

_FOLDER = Path("build/attack")


def main() -> int:
    """Print a line for each parser. Return 1 if an input was not refused in time with a typed error."""
    options = argparse.ArgumentParser(prog="tests.attack", description=__doc__)
    options.add_argument("--inputs", type=int, default=5000, help="inputs of each parser")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("parsers", nargs="*", help="names of parsers; all by default")
    given = options.parse_args()
    failed = 0
    _print(f"{'parser':<22}{'inputs':>8}{'refused':>9}{'worst':>10}{'failures':>10}")
    with tempfile.TemporaryDirectory() as folder:
        parsers = make_parsers(Path(folder))
    for name in given.parsers or parsers:
        found = attack(parsers[name], given.inputs, given.seed)
        failures = len(found.failures)
        _print(f"{name:<22}{found.inputs:>8}{found.refused:>9}{found.worst:>8.3f} s{failures:>10}")
        for number, (data, reason) in enumerate(found.failures[:5]):
            _FOLDER.mkdir(parents=True, exist_ok=True)
            path = _FOLDER / f"{name.replace(' ', '-')}-{given.seed}-{number}"
            path.write_bytes(data)
            _print(f"  {path}: {reason}")
        failed += failures
    return 1 if failed else 0


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
