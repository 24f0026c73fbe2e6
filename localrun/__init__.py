"""Run containerised tasks on your own machine, offline, as the platform would run them."""

__version__ = "0.1.0"
