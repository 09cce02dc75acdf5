"""Patients, specimens and slides; endpoints; who is left out and why; splits that cannot leak."""
