"""Secrets: masking by value, redaction by key name, and storage until the task ends."""
