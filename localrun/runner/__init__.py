"""The execution of one task on an engine."""
