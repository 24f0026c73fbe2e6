"""A task as one HTML file without scripts, for people and notebooks."""
