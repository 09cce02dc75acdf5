"""Pages and figures that people read; every figure comes with its numbers and its explanation."""
