"""Where there is tissue on a slide, how good it is to look at, and what its stain is."""
