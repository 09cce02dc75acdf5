"""Encoders: from the pixels of a tile to numbers, each with a card that says what made them."""
