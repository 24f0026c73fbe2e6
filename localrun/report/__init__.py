"""A task as a report: its details as JSON-ready data."""
