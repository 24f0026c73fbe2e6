"""The events of all tasks, as one numbered stream for any number of clients."""
