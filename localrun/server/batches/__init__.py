"""Batches over HTTP: create, follow, cancel and resume them, and read their results."""
