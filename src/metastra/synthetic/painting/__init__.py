"""Painted H&E slides: tissue whose every pixel is known, seen through scanners that are known."""
