"""Bundles: read, validate, build and scaffold them."""
