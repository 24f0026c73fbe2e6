"""Whatever runs containers, behind one protocol."""
