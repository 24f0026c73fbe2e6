"""Read the format and size of an image from its header, without decoding it."""
