"""Compare the outputs of a task with expected values."""
