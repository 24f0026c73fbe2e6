"""What people see in a terminal: progress, results and summaries."""
