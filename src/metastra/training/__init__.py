"""Fit models inside development cohorts; what is reported is never looked at."""
