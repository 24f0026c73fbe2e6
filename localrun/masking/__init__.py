"""Secrets: mask them in text, redact them by key name, and store them until the task ends."""
