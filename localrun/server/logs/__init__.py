"""Pages of a log, by line and by byte, and search in it."""
