"""Write a new bundle that runs without changes."""
