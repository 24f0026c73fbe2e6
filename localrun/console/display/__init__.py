"""Progress displays: live on a terminal, as lines elsewhere, or none."""
