"""Comparison with reference numbers computed by other software, case by case."""
