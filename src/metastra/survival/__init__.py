"""Survival estimators and metrics: numpy and scipy in, named results out; no pixels, no torch."""
