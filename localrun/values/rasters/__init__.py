"""Read the pixels of images for people: in tiles, within limits, and with 8 bits per channel."""
