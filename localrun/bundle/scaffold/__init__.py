"""Scaffolding of new bundles."""
