"""Add two integers: read the inputs from files, write the output to a file."""

from pathlib import Path

INPUTS, OUTPUTS = Path("/inputs"), Path("/outputs")

a = int((INPUTS / "a").read_text())
b = int((INPUTS / "b").read_text())
(OUTPUTS / "sum").write_text(str(a + b))
print(f"{a} + {b} = {a + b}")
