"""The chapters of the reference, each generated from the program."""
