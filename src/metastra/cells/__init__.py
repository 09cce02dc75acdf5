"""Nuclei: found without weights, or read from the files of other software."""
