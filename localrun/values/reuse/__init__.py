"""Reused results: the contents of inputs, the state of outputs, and an index of finished tasks."""
