"""Measurements against other software, and the long statistical checks; no part of the package."""
