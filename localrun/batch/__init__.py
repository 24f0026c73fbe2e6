"""Many tasks of one bundle: a table of inputs in, a table of results out."""
