"""The list of all tasks of the folder, with search."""
