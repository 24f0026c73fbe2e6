"""A task: its record, states, events and causes, and where it is stored."""
