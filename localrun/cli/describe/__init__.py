"""A task in the form of `kubectl describe pod`."""
