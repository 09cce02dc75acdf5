"""A hospital-like study of colorectal cancer, drawn from stated hazards: the truth is known."""
