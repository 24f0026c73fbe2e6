"""Run one task on one engine."""
