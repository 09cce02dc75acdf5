"""Slides of any scanner behind one protocol: size, levels, microns per pixel, regions as RGB."""
