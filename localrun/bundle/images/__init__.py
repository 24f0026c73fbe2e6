"""The container image of a bundle: find, load, build or pull it."""
