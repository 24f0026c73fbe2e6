"""Keep a machine clean: checks, leftovers and cleanup."""
