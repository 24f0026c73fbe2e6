"""The images of a task, and the geometries that belong to them."""
