"""Feed hostile inputs to parsers, and measure the worst time."""

from __future__ import annotations

import random
import tempfile
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path

from tests.attack.mutations import mutate
from tests.attack.parsers import Parser

LIMIT = 5.0  # processor seconds for an input, for a loaded machine
PER_BYTE = 2e-5  # more seconds for each byte: a quadratic parser exceeds it, a linear one does not


@dataclass
class Result:
    """What one parser did. `failures` are inputs with an unexpected exception or above the time limit."""

    inputs: int = 0
    refused: int = 0
    worst: float = 0.0
    failures: list[tuple[bytes, str]] = field(default_factory=list)


def attack(parser: Parser, inputs: int, seed: int) -> Result:
    """Parse the seeds and many changed copies of them."""
    source = random.Random(seed)
    result = Result()
    for number in range(inputs):
        valid = source.choice(parser.seeds)
        _parse(parser, valid if number == 0 else mutate(valid, source), result)
    return result


def _parse(parser: Parser, data: bytes, result: Result) -> None:
    result.inputs += 1
    with tempfile.TemporaryDirectory(prefix="localrun-attack-") as folder:
        start = time.thread_time()
        try:
            parser.parse(data, Path(folder))
        except parser.errors:
            result.refused += 1
        except Exception:  # noqa: BLE001 - this is what the attack looks for
            result.failures.append((data, traceback.format_exc(limit=-3)))
        spent = time.thread_time() - start
    result.worst = max(result.worst, spent)
    if spent > LIMIT + PER_BYTE * len(data):
        result.failures.append((data, f"{spent:.1f} s for {len(data)} bytes"))
