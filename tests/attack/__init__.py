"""Hostile input for each parser. `make attack` runs many inputs, the test suite a few."""
