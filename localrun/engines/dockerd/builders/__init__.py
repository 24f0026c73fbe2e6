"""Builders of images besides the engine's classic one: which there are, what they support, how they run."""
