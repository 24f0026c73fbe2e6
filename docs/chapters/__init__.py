"""The chapters of the reference: each is a page made from the program itself."""
