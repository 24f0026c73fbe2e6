"""Tests on two nodes with engines of their own; `make cluster` runs them."""
