"""Check that geometries fit the image they belong to, and that their y counts from the bottom."""
