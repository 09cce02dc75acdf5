"""The locked model file: JSON and numbers, signed, checked to the bit; loading runs no code."""
