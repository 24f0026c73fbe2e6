"""Check whether a bundle runs here and whether App Engine accepts it."""
