"""Tiles of true size: a grid in microns on any scanner's pixels, read at one target scale."""
