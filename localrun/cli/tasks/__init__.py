"""Inductiva-compatible task commands: `localrun tasks`."""
