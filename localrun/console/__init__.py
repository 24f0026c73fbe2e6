"""Terminal output: progress, results and summaries."""
